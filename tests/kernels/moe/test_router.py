"""The router's scores, choice, weights and gradients against float64 autograd of plain torch (lesson 06)."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.moe.router import route_tokens, route_tokens_reference


def make(tokens, width, experts, device, dtype=torch.float32):
    """Logits of about unit variance, and a bias as large as the differences between scores, so that it decides."""
    torch.manual_seed(tokens + experts)
    x = torch.randn(tokens, width, device=device).to(dtype).requires_grad_()
    weight = (torch.randn(experts, width, device=device) * width**-0.5).to(dtype).requires_grad_()
    return x, weight, torch.randn(experts, device=device) * 0.2


def exact(x, weight, bias):
    return [x.detach().double().requires_grad_(), weight.detach().double().requires_grad_(), bias.double()]


# More tokens than a program takes, no sides a power of two; one token; one expert; every expert chosen.
SIZES = [(150, 72, 12, 3), (1, 64, 64, 6), (5, 16, 1, 1), (9, 40, 4, 4), (70, 130, 70, 6)]


@pytest.mark.parametrize(("tokens", "width", "experts", "top_k"), SIZES)
def test_everything_equals_float64(tokens, width, experts, top_k, device):
    inputs = make(tokens, width, experts, device)
    wide = exact(*inputs)
    scores, indices, weights = route_tokens(*inputs, top_k, 2.5)
    true_scores, true_indices, true_weights = route_tokens_reference(*wide, top_k, 2.5)
    assert indices.dtype == torch.int64 and torch.equal(indices, true_indices)
    assert relative_error(scores, true_scores) < 3e-6 and relative_error(weights, true_weights) < 3e-6
    upstream = torch.randn_like(scores), torch.randn_like(weights)
    found = torch.autograd.grad((scores, weights), inputs[:2], upstream)
    expected = torch.autograd.grad((true_scores, true_weights), wide[:2], [g.double() for g in upstream])
    for name, a, b in zip(("x", "weight"), found, expected, strict=True):
        assert relative_error(a, b) < 5e-6, name


def test_the_bias_chooses_but_does_not_weigh(device):
    x, weight, _ = make(20, 32, 6, device)
    bias = torch.zeros(6, device=device)
    bias[4] = 10.0
    scores, indices, weights = route_tokens(x, weight, bias, 2, 1.0)
    assert (indices[:, 0] == 4).all()
    assert torch.allclose(weights[:, 0], scores[:, 4] / scores.gather(1, indices).sum(1))


def test_a_pinned_choice_keeps_its_order_and_gradients(device):
    inputs = make(30, 24, 5, device)
    pinned = torch.stack([torch.randperm(5)[:3] for _ in range(30)]).to(device)
    scores, indices, weights = route_tokens(*inputs, 3, 1.5, pinned)
    wide = exact(*inputs)
    expected = route_tokens_reference(*wide, 3, 1.5, pinned)[2]
    assert torch.equal(indices, pinned) and relative_error(weights, expected) < 1e-6
    upstream = torch.randn_like(weights)
    found = torch.autograd.grad(weights, inputs[:2], upstream)
    for a, b in zip(found, torch.autograd.grad(expected, wide[:2], upstream.double()), strict=True):
        assert relative_error(a, b) < 5e-6
    assert scores.shape == (30, 5)


def test_bf16_products_are_as_exact_as_float32(device):
    """Scores of bf16 tokens must not be those of a bf16 product: a choice between close experts would change."""
    x, weight, bias = make(64, 256, 16, device, torch.bfloat16)
    scores, _, weights = route_tokens(x, weight, bias, 4, 1.0)
    wide = exact(x, weight, bias)
    assert relative_error(scores, route_tokens_reference(*wide, 4, 1.0)[0]) < 1e-6
    (scores.sum() + weights.square().sum()).backward()
    assert x.grad.dtype == weight.grad.dtype == torch.bfloat16
    true_scores, _, true_weights = route_tokens_reference(*wide, 4, 1.0)
    (true_scores.sum() + true_weights.square().sum()).backward()
    assert relative_error(x.grad, wide[0].grad) < 2e-2 and relative_error(weight.grad, wide[1].grad) < 2e-2


def test_bf16_tokens_with_float32_weights(device):
    """Under autocast the tokens are bf16 while the router's weight keeps float32."""
    x, weight, bias = make(40, 64, 8, device)
    x = x.detach().bfloat16().requires_grad_()
    scores = route_tokens(x, weight, bias, 2, 1.0)[0]
    assert relative_error(scores, route_tokens_reference(*exact(x, weight, bias), 2, 1.0)[0]) < 1e-6


def test_a_nan_stays_with_its_token(device):
    x, weight, bias = make(10, 16, 5, device)
    x = x.detach()
    x[3] = float("nan")
    scores, indices, _ = route_tokens(x, weight, bias, 2, 1.0)
    assert scores[3].isnan().all() and scores[[0, 1, 2, 4]].isfinite().all()
    assert ((indices >= 0) & (indices < 5)).all()


def test_no_tokens_and_misfits(device):
    x, weight, bias = make(3, 16, 5, device)
    scores, indices, weights = route_tokens(x[:0], weight, bias, 2, 1.0)
    assert scores.shape == (0, 5) and indices.shape == weights.shape == (0, 2)
    (gradient,) = torch.autograd.grad(scores.sum() + weights.sum(), weight)
    assert gradient.abs().sum() == 0
    with pytest.raises(ValueError, match="at most E"):
        route_tokens(x, weight, bias, 6, 1.0)
    with pytest.raises(ValueError, match=r"pinned \(3, 1\)"):
        route_tokens(x, weight, bias, 2, 1.0, torch.zeros(3, 1, dtype=torch.int64, device=device))
