"""RMSNorm against float64 autograd of the formula written out here."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.elementwise.rms_norm import rms_norm, rms_norm_reference


def leaf(*shape: int, device: torch.device, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, device=device).to(dtype).requires_grad_()


def true_rms(x, weight, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight


# Row groups with a rest, width no power of two, one row, one column, leading dimensions, more groups than programs.
@pytest.mark.parametrize("shape", [(37, 100), (1, 64), (5, 1), (2, 3, 33), (700, 16)])
def test_output_and_gradients_match_float64(shape, device):
    """eps of 0.05 against rows of mean square near 0.09: a wrong or missing eps moves the result by 20%."""
    torch.manual_seed(0)
    x, weight = leaf(*shape, device=device), leaf(shape[-1], device=device)
    with torch.no_grad():
        x *= 0.3
    grad = torch.randn(shape, device=device)
    wide = [t.detach().double().requires_grad_() for t in (x, weight)]
    out, true = rms_norm(x, weight, 0.05), true_rms(*wide, 0.05)
    assert relative_error(out, true) < 1e-6
    found = torch.autograd.grad(out, (x, weight), grad)
    for ours, theirs in zip(found, torch.autograd.grad(true, wide, grad.double()), strict=True):
        assert relative_error(ours, theirs) < 5e-6


def test_rounds_before_the_weight(device):
    """fp16, where the interpreter rounds correctly: the cast comes before the weight, and the other order differs."""
    torch.manual_seed(2)
    x, weight = leaf(64, 96, device=device, dtype=torch.float16), leaf(96, device=device, dtype=torch.float16)
    out = rms_norm(x, weight, 1e-5)
    wide = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-5)
    late = (wide * weight.float()).half()
    same = (out == rms_norm_reference(x, weight, 1e-5)).double().mean()
    assert same > 0.99 and (out == late).double().mean() < 0.9


def test_bf16_within_two_steps(device):
    """bf16 keeps 8 bits, and the interpreter cuts instead of rounding: two steps are 2^-6 of the value at most."""
    torch.manual_seed(3)
    x, weight = leaf(33, 72, device=device, dtype=torch.bfloat16), leaf(72, device=device, dtype=torch.bfloat16)
    out, expected = rms_norm(x, weight), rms_norm_reference(x, weight)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), expected.float(), rtol=2**-6, atol=2e-2)


def test_strided_and_empty_inputs(device):
    """A slice of a wider projection (kv_a_layernorm reads 512 of 576 columns), and no rows at all."""
    torch.manual_seed(4)
    wide, weight = leaf(6, 40, device=device), leaf(32, device=device)
    out = rms_norm(wide[:, :32], weight, 1e-6)
    assert relative_error(out, rms_norm_reference(wide[:, :32].double(), weight.double(), 1e-6)) < 1e-6
    out.backward(torch.randn(32, 6, device=device).T)
    assert wide.grad[:, 32:].abs().max() == 0 and wide.grad[:, :32].abs().min() > 0
    empty = leaf(0, 32, device=device)
    weight.grad = None
    rms_norm(empty, weight).sum().backward()
    assert empty.grad.shape == (0, 32) and weight.grad.abs().max() == 0


def test_shapes_that_do_not_fit_are_named(device):
    with pytest.raises(ValueError, match=r"weight \(3,\)"):
        rms_norm(torch.ones(2, 4, device=device), torch.ones(3, device=device))
