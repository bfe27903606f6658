"""The seam between model and kernels: the environment variable, and the torch references at their edges."""

import pytest
import torch
import torch.nn.functional as F
from tiny_models import random_text, tiny_model

from minikimi.errors import UserError
from minikimi.model import ops


def test_unknown_choice_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIKIMI_KERNELS", "bogus")
    with pytest.raises(UserError, match=r"MINIKIMI_KERNELS='bogus'.*torch or triton"):
        tiny_model(0)(random_text(4)[None])


@pytest.mark.parametrize("choice", ["torch", "", None])
def test_torch_on_the_cpu(choice: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch`, empty and unset all mean the references on CPU; the kernels are not even imported."""
    monkeypatch.setattr(ops, "kernel", lambda *_: pytest.fail("asked for the kernels"))
    if choice is None:
        monkeypatch.delenv("MINIKIMI_KERNELS", raising=False)
    else:
        monkeypatch.setenv("MINIKIMI_KERNELS", choice)
    assert tiny_model(0)(random_text(4)[None]).logits.isfinite().all()


def test_triton_choice_asks_for_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIKIMI_KERNELS", "triton")
    assert ops.triton_chosen(torch.zeros(1))


@pytest.mark.parametrize("causal", [False, True])
def test_segment_attention_against_a_masked_matrix(causal: bool) -> None:
    """One big masked softmax in float64; ragged segments, one of length 1 and one empty; values of another width."""
    g = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(9, 2, d, generator=g, dtype=torch.float64) for d in (6, 6, 5))
    bounds = torch.tensor([0, 4, 4, 5, 9])
    segment = torch.tensor([0, 0, 0, 0, 2, 3, 3, 3, 3])
    allowed = segment[:, None] == segment[None]
    if causal:
        allowed &= torch.ones(9, 9, dtype=torch.bool).tril()
    scores = (torch.einsum("qhd,khd->hqk", q, k) * 0.3).masked_fill(~allowed, -torch.inf)
    expected = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v)
    torch.testing.assert_close(ops.segment_attention(q, k, v, bounds, 0.3, causal), expected)


def test_rms_norm_casts_before_it_scales() -> None:
    """In bfloat16 the normed value is rounded first and then multiplied by the weight: the released order."""
    x = torch.randn(5, 16, generator=torch.Generator().manual_seed(1)).bfloat16()
    weight = torch.full((16,), 1.0078125).bfloat16()
    normed = x.float() / (x.float().square().mean(-1, keepdim=True) + 1e-5).sqrt()
    assert torch.equal(ops.rms_norm(x, weight, 1e-5), normed.bfloat16() * weight)
    assert not torch.equal(ops.rms_norm(x, weight, 1e-5), (normed * weight.float()).bfloat16())


def test_masked_softmax_ignores_what_lies_beyond_the_length() -> None:
    scores = torch.tensor([[[1.0, 2.0, 50.0]], [[1.0, 2.0, 3.0]]])
    weights = ops.masked_softmax(scores, torch.tensor([2, 3]))
    torch.testing.assert_close(weights[0, 0], torch.tensor([1 / (1 + torch.e), torch.e / (1 + torch.e), 0.0]))
    torch.testing.assert_close(weights[1, 0], scores[1, 0].softmax(-1))


def test_linear_cross_entropy_in_bfloat16() -> None:
    """The loss is float32, whatever the dtype of the activations."""
    hidden, weight = torch.randn(7, 8).bfloat16(), torch.randn(20, 8).bfloat16()
    labels = torch.tensor([1, -100, 3, 4, 5, 19, 0])
    loss = ops.linear_cross_entropy(hidden, weight, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, F.cross_entropy(F.linear(hidden, weight).float(), labels))


def test_moe_experts_keep_the_dtype_of_the_tokens() -> None:
    """bfloat16 tokens with float32 routing weights."""
    x, w = torch.randn(5, 8).bfloat16(), torch.rand(5, 2)
    y = ops.moe_experts(
        x, torch.randint(0, 4, (5, 2)), w, torch.randn(4, 6, 8).bfloat16(), torch.randn(4, 8, 3).bfloat16()
    )
    assert y.dtype == torch.bfloat16 and y.shape == (5, 8)


def test_wide_vocabulary_loss_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss works through chunks of tokens with recomputation; value and gradients are those of one piece."""
    monkeypatch.setattr(ops, "LOSS_CHUNK", 4 * 9)  # 4 tokens of 9 classes
    g = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(11, 6, generator=g), torch.randn(9, 6, generator=g)
    labels = torch.randint(0, 9, (11,), generator=g)
    labels[[0, 5]] = -100
    ours, plain = [[t.clone().requires_grad_() for t in (hidden, weight)] for _ in range(2)]
    loss = ops.linear_cross_entropy(*ours, labels)
    expected = F.cross_entropy(F.linear(*plain), labels)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a.grad, b.grad)
