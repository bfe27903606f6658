"""Router, experts and balance against formulas written out by hand."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from tiny_models import TEXT, random_text, tiny_model

from minikimi.model.config import PRESETS
from minikimi.model.moe import MoE, Router, Routing, sequence_aux_loss, update_selection_bias


def router_with(weight: torch.Tensor, bias: list[float], top_k: int, scaling: float) -> Router:
    from dataclasses import replace

    experts, width = weight.shape
    router = Router(
        replace(
            TEXT, n_routed_experts=experts, hidden_size=width, num_experts_per_tok=top_k, routed_scaling_factor=scaling
        )
    )
    router.weight.data = weight
    router.e_score_correction_bias.copy_(torch.tensor(bias))
    return router


def logit(p: float) -> float:
    return float(torch.logit(torch.tensor(p, dtype=torch.float64)))


def test_routing_by_hand() -> None:
    """Scores .9 .8 .3 .2, bias 0 -.7 0 .6: with the bias .9 .1 .3 .8, so experts 0 and 3 are chosen; their weights are
    the plain scores .9 and .2 over their sum 1.1, times 2. A bias in the weights would give .9/1.7; no bias would
    choose experts 0 and 1."""
    weight = torch.tensor([[logit(0.9)], [logit(0.8)], [logit(0.3)], [logit(0.2)]])
    routing = router_with(weight, [0.0, -0.7, 0.0, 0.6], top_k=2, scaling=2.0)(torch.ones(1, 1))
    found = dict(zip(routing.indices[0].tolist(), routing.weights[0].tolist(), strict=True))
    assert found == pytest.approx({0: 2 * 0.9 / 1.1, 3: 2 * 0.2 / 1.1})
    torch.testing.assert_close(routing.scores[0], torch.tensor([0.9, 0.8, 0.3, 0.2]))
    assert routing.counts().tolist() == [1, 0, 0, 1]


def test_scores_that_all_vanish_give_no_nan() -> None:
    """Logits of -200: sigmoid is 0 in float32, and 0 / (0 + 1e-20) is 0; without the 1e-20 it would be nan."""
    routing = router_with(torch.full((4, 1), -200.0), [0.0] * 4, top_k=2, scaling=2.0)(torch.ones(3, 1))
    assert torch.equal(routing.weights, torch.zeros(3, 2))


def test_the_small_number_is_1e_20_and_not_larger() -> None:
    """Scores of about 1e-18 still add up to the factor; with 1e-12 in the denominator the weights would vanish."""
    routing = router_with(torch.full((4, 1), -41.0), [0.0] * 4, top_k=2, scaling=2.0)(torch.ones(1, 1))
    assert routing.weights.sum().item() == pytest.approx(2.0, rel=0.02)


@pytest.mark.parametrize("cast", ["autocast", "bf16 model"])
def test_the_router_works_in_float32(cast: str) -> None:
    """Two experts whose logits differ by 1e-3 around 4: bfloat16 (spacing 1/64 there) could not tell them apart."""
    weight = torch.tensor([[4.0], [4.001], [3.999], [1.0]])
    router = router_with(weight, [0.0] * 4, top_k=1, scaling=1.0)
    if cast == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            routing = router(torch.ones(1, 1))
        assert routing.indices.item() == 1
    else:
        router.weight.data = torch.tensor(
            [[4.0], [4.03125], [3.96875], [1.0]]
        )  # exact in bfloat16; their sigmoids are not
        routing = router.bfloat16()(torch.ones(1, 1, dtype=torch.bfloat16))
        expected = torch.tensor([4.0, 4.03125, 3.96875, 1.0]).sigmoid()
        torch.testing.assert_close(routing.scores[0], expected)
    assert routing.scores.dtype == routing.weights.dtype == torch.float32


def test_casting_a_model_leaves_the_selection_bias_in_float32() -> None:
    """An update of 0.001 on a bias of 0.5 is lost in bfloat16."""
    router = router_with(torch.zeros(2, 1), [0.501, -0.25], top_k=1, scaling=1.0)
    for cast in (router.bfloat16, router.half, router.double, router.float):
        cast()
        assert router.e_score_correction_bias.dtype == torch.float32
        assert torch.equal(router.e_score_correction_bias, torch.tensor([0.501, -0.25]))
    assert router.weight.dtype == torch.float32
    assert "e_score_correction_bias" in router.state_dict()


def test_moe_layer_against_a_loop_over_tokens() -> None:
    """Gate rows first, then up; weights on the routed experts only; shared experts unscaled. One expert gets no token
    at all."""
    layer = tiny_model(1).language_model.model.layers[1].mlp
    layer.gate.e_score_correction_bias[5] = -9.0
    x = torch.randn(13, 40, generator=torch.Generator().manual_seed(1))
    y, routing = layer(x)
    assert routing.counts()[5] == 0
    for t in range(13):
        expected = layer.shared_experts(x[t])
        for e, w in zip(routing.indices[t].tolist(), routing.weights[t], strict=True):
            gate, up = layer.experts.gate_up_proj[e, :24] @ x[t], layer.experts.gate_up_proj[e, 24:] @ x[t]
            expected = expected + w * (layer.experts.down_proj[e] @ (gate / (1 + (-gate).exp()) * up))
        torch.testing.assert_close(y[t], expected, atol=1e-5, rtol=1e-5)


def test_the_bias_gets_no_gradient_and_the_router_does() -> None:
    model = tiny_model(2)
    ids = random_text(20)[None]
    model(ids, labels=ids).loss.backward()
    gate = model.language_model.model.layers[1].mlp.gate
    assert not gate.e_score_correction_bias.requires_grad
    assert gate.weight.grad.abs().max() > 0


def test_empty_and_single_token() -> None:
    layer = tiny_model(3).language_model.model.layers[2].mlp
    assert isinstance(layer, MoE)
    assert layer(torch.zeros(0, 40))[0].shape == (0, 40)
    x = torch.randn(1, 40)
    torch.testing.assert_close(layer(x)[0], layer(x.repeat(3, 1))[0][:1])


def test_sequence_aux_loss_against_a_loop() -> None:
    g = torch.Generator().manual_seed(0)
    scores = torch.rand(11, 5, generator=g)
    indices = torch.rand(11, 5, generator=g).topk(2).indices
    bounds = [0, 4, 4, 5, 11]  # one empty sequence, one of a single token
    total, sequences = 0.0, 0
    for a, b in pairwise(bounds):
        if a == b:
            continue
        sequences += 1
        for e in range(5):
            count = sum(int(e in indices[t].tolist()) for t in range(a, b))
            total += count * 5 / ((b - a) * 2) * scores[a:b, e].mean().item()
    measured = sequence_aux_loss(Routing(scores, indices, scores.gather(1, indices)), torch.tensor(bounds))
    assert measured.item() == pytest.approx(total / sequences, rel=1e-5)


def test_sequence_aux_loss_pushes_towards_balance() -> None:
    """Its gradient raises the score of an unused expert against that of an overloaded one."""
    scores = torch.full((8, 4), 0.5, requires_grad=True)
    indices = torch.tensor([[0, 1]] * 7 + [[0, 2]])
    sequence_aux_loss(Routing(scores, indices, scores.gather(1, indices)), torch.tensor([0, 8])).backward()
    mean = scores.grad.mean(0)
    assert mean[0] > mean[1] > mean[2] > mean[3] == 0


def test_bias_update_lowers_the_overloaded_and_sums_to_zero() -> None:
    """Counts 9 3 3 1, mean 4: signs -1 +1 +1 +1, their mean 1/2; so b moves by u * (-1.5, .5, .5, .5)."""
    router = router_with(torch.zeros(4, 1), [0.1, 0.0, 0.0, -0.1], top_k=1, scaling=1.0)
    update_selection_bias(router, torch.tensor([9, 3, 3, 1]), rate=0.01)
    expected = torch.tensor([0.1 - 0.015, 0.005, 0.005, -0.1 + 0.005])
    torch.testing.assert_close(router.e_score_correction_bias, expected)
    assert router.e_score_correction_bias.sum().item() == pytest.approx(0, abs=1e-7)
    update_selection_bias(router, torch.tensor([4, 4, 4, 4]), rate=0.01)  # balance: nothing moves
    torch.testing.assert_close(router.e_score_correction_bias, expected)


def test_bias_updates_balance_a_skewed_router() -> None:
    """Repeated updates even out a router that prefers one expert; this is the whole point, and fails with the sign
    turned round."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(512, 6, generator=g)
    x[:, 0] = 1.0
    weight = torch.randn(4, 6, generator=g)
    weight[:, 0] = torch.tensor([1.5, 0.0, 0.0, -1.0])
    router = router_with(weight, [0.0] * 4, top_k=1, scaling=1.0)
    before = router(x).counts().max().item()
    for _ in range(300):
        update_selection_bias(router, router(x).counts(), rate=0.01)
    assert before > 200
    assert router(x).counts().max() < 150  # even would be 128


@pytest.mark.parametrize("name", PRESETS)
def test_scaling_factor_keeps_the_size_of_the_routed_sum(name: str) -> None:
    """The mean of 1 / sqrt(sum p^2) for the renormalised top-K sigmoids of Gaussian logits (Moonlight report, appendix
    C), by sampling."""
    text = PRESETS[name].text_config
    logits = torch.randn(200_000, text.n_routed_experts, generator=torch.Generator().manual_seed(0))
    p = logits.sigmoid().topk(text.num_experts_per_tok).values
    p = p / p.sum(-1, keepdim=True)
    measured = (1 / p.square().sum(-1).sqrt()).mean().item()
    assert text.routed_scaling_factor == pytest.approx(measured, abs=2e-3)


def test_gradients_of_the_experts_against_autograd_of_a_dense_form() -> None:
    """Every expert on every token, masked: the same function without sorting, splitting or index_add."""
    layer = tiny_model(4).language_model.model.layers[1].mlp
    x = torch.randn(9, 40, generator=torch.Generator().manual_seed(4), requires_grad=True)
    y, routing = layer(x)
    (grad,) = torch.autograd.grad(y.square().sum(), x, retain_graph=True)
    dense = torch.zeros(9, 8).scatter(1, routing.indices, routing.weights)
    gate, up = torch.einsum("td,efd->tef", x, layer.experts.gate_up_proj).chunk(2, dim=-1)
    routed = torch.einsum("te,tef,edf->td", dense, F.silu(gate) * up, layer.experts.down_proj)
    (expected,) = torch.autograd.grad((routed + layer.shared_experts(x)).square().sum(), x)
    torch.testing.assert_close(grad, expected, atol=1e-4, rtol=1e-4)
