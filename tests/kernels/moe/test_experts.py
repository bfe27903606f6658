"""Routed experts: Triton forward, every gradient and the decode path against float64 (lessons 06 and 16)."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.moe.experts import moe_experts, moe_reference

Arguments = list[torch.Tensor]
NAMES = ["x", "topk_weight", "gate_up_proj", "down_proj"]


def make(tokens, d, f, experts, top_k, device, dtype=torch.float32, used=None) -> Arguments:
    """Random arguments; experts from `used` on are never chosen. Weights differ from token to token and gate from up,
    so forgetting the one or swapping the others shows."""
    torch.manual_seed(tokens + d)
    used = used or experts
    topk_idx = torch.stack([torch.randperm(used)[:top_k] for _ in range(tokens)])
    x, topk_weight = torch.randn(tokens, d), torch.rand(tokens, top_k) + 0.2
    gate_up_proj, down_proj = torch.randn(experts, 2 * f, d) / d**0.5, torch.randn(experts, d, f) / f**0.5
    floats = [t.to(device, dtype) for t in (x, gate_up_proj, down_proj)]
    return [floats[0], topk_idx.to(device), topk_weight.to(device), *floats[1:]]


def with_grad(arguments: Arguments, dtype: torch.dtype | None = None) -> Arguments:
    return [
        t.detach().to(dtype or t.dtype).requires_grad_() if t.is_floating_point() else t for t in arguments
    ]  # fmt: skip


def errors(arguments: Arguments, grad_out: torch.Tensor) -> dict[str, float]:
    """Relative error of the output and of every gradient against the float64 reference."""
    exact, ours = with_grad(arguments, torch.float64), with_grad(arguments)
    expected, out = moe_reference(*exact), moe_experts(*ours)
    expected.backward(grad_out.double())
    out.backward(grad_out)
    pairs = [(a, b) for a, b in zip(ours, exact, strict=True) if a.is_floating_point()]
    result = {name: relative_error(a.grad, b.grad) for name, (a, b) in zip(NAMES, pairs, strict=True)}
    return {"out": relative_error(out, expected), **result}


CASES = {
    # tokens, D, F, E, K, used experts. D = 72 and F = 80 are no multiples of the fp32 tile (64 columns, 32 inner).
    "ragged groups and an empty expert": (45, 72, 80, 5, 3, 4),
    "one token": (1, 32, 32, 4, 2, 4),
    "all tokens to one expert of four, five row tiles": (70, 32, 48, 4, 1, 1),
    "rows too short for the copy engine's 16-byte strides": (21, 18, 7, 3, 2, 3),
    "a single expert, chosen by all": (9, 16, 16, 1, 1, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_output_and_gradients_equal_float64(case, device):
    tokens, d, f, experts, top_k, used = CASES[case]
    arguments = make(tokens, d, f, experts, top_k, device, used=used)
    for name, error in errors(arguments, torch.randn(tokens, d, device=device)).items():
        assert error < 2e-6, f"{name}: {error:.1e}"


@pytest.mark.parametrize(("tokens", "experts"), [(40, 4), (160, 2)])  # row tiles of 32, and the large ones of 128
def test_bf16_tiles(tokens, experts, device):
    arguments = make(tokens, 136, 72, experts, 2, device, torch.bfloat16)
    grad_out = torch.randn(tokens, 136, device=device, dtype=torch.bfloat16)
    for name, error in errors(arguments, grad_out).items():
        assert error < 2e-2, f"{name}: {error:.1e}"


def test_experts_without_tokens_get_zero_gradients(device, monkeypatch):
    ours = with_grad(make(12, 16, 16, 6, 2, device, used=3))
    monkeypatch.setattr(torch, "empty_like", lambda t: torch.full_like(t, float("nan")))  # an unwritten tile shows
    moe_experts(*ours).backward(torch.randn(12, 16, device=device))
    for weight in ours[3:]:
        assert torch.equal(weight.grad[3:], torch.zeros_like(weight.grad[3:]))
        assert weight.grad[:3].abs().amax(dim=(1, 2)).min() > 0


def test_non_contiguous_arguments(device):
    x, topk_idx, topk_weight, gate_up_proj, down_proj = make(20, 32, 32, 4, 2, device)
    strided = [
        x.t().contiguous().t(),
        topk_idx.t().contiguous().t(),
        topk_weight.t().contiguous().t(),
        gate_up_proj.transpose(1, 2).contiguous().transpose(1, 2),
        down_proj.transpose(0, 1).contiguous().transpose(0, 1),
    ]
    assert not any(t.is_contiguous() for t in strided)
    grad_out = torch.randn(32, 20, device=device).t()
    assert max(errors(strided, grad_out).values()) < 2e-6


def test_gradients_accumulate_into_buffers_and_nowhere_else(device):
    arguments = make(30, 32, 24, 4, 2, device, torch.bfloat16)
    exact, ours = with_grad(arguments, torch.float64), with_grad(arguments)
    buffers = tuple(torch.randn(t.shape, device=device) for t in arguments[3:])  # fp32, as for accumulation
    before = [b.clone().double() for b in buffers]
    for scale in (1.0, -0.5):  # two micro-batches
        grad_out = scale * torch.randn(30, 32, device=device, dtype=torch.bfloat16)
        moe_reference(*exact).backward(grad_out.double())
        moe_experts(*ours, grad_buffers=buffers).backward(grad_out)
    for buffer, start, weight, own in zip(buffers, before, exact[3:], ours[3:], strict=True):
        assert relative_error(buffer.double() - start, weight.grad) < 2e-2
        assert own.grad is None


def test_no_tokens(device):
    ours = with_grad(make(3, 16, 16, 4, 2, device))
    out = moe_experts(ours[0][:0], ours[1][:0], ours[2][:0], *ours[3:])
    assert out.shape == (0, 16)
    out.sum().backward()
    assert all(torch.equal(w.grad, torch.zeros_like(w)) for w in ours[3:])


def test_inference_gives_the_same_output_without_keeping_anything(device):
    arguments = make(17, 32, 24, 4, 2, device)
    trained = moe_experts(*with_grad(arguments))
    with torch.no_grad():
        plain = moe_experts(*arguments)
    assert torch.equal(plain, trained)
    assert plain.grad_fn is None


def test_arguments_that_do_not_fit_are_named(device):
    x, topk_idx, topk_weight, gate_up_proj, down_proj = make(6, 16, 8, 4, 2, device)
    with pytest.raises(ValueError, match=r"topk_weight has shape \(6, 1\), expected \(6, 2\)"):
        moe_experts(x, topk_idx, topk_weight[:, :1], gate_up_proj, down_proj)
    with pytest.raises(ValueError, match="down_proj has shape"):
        moe_experts(x, topk_idx, topk_weight, gate_up_proj, down_proj.transpose(1, 2))
    with pytest.raises(ValueError, match="dtypes differ"):
        moe_experts(x.double(), topk_idx, topk_weight, gate_up_proj, down_proj)
    with pytest.raises(ValueError, match="grad buffer"):
        buffers = (torch.zeros_like(gate_up_proj), torch.zeros_like(gate_up_proj))
        moe_experts(x, topk_idx, topk_weight, gate_up_proj, down_proj, buffers)
