"""SwiGLU against float64 autograd."""

import pytest
import torch
import torch.nn.functional as F
from minikimi_kernels.common import relative_error
from minikimi_kernels.elementwise.swiglu import swiglu, swiglu_reference


# Expert width (1408 = 11 x 128), no power of two at all, one row, several leading dimensions.
@pytest.mark.parametrize("shape", [(5, 2 * 1408), (37, 2 * 100), (1, 2), (2, 3, 2 * 64), (70, 2 * 33)])
def test_forward_and_backward(shape, device):
    """silu on the first half only: swapped halves, or up through the sigmoid, differ at once."""
    torch.manual_seed(0)
    x = (3 * torch.randn(shape, device=device)).requires_grad_()
    wide = x.detach().double().requires_grad_()
    half = shape[-1] // 2
    expected = F.silu(wide[..., :half]) * wide[..., half:]
    out = swiglu(x)
    assert relative_error(out, expected) < 1e-6
    assert relative_error(swiglu_reference(x), expected) < 1e-6
    grad = torch.randn_like(out)
    out.backward(grad)
    expected.backward(grad.double())
    assert relative_error(x.grad, wide.grad) < 1e-6


def test_large_gates_do_not_overflow(device):
    x = torch.tensor([[-200.0, 200.0, 3.0, 3.0]], device=device, requires_grad=True)
    out = swiglu(x)
    out.sum().backward()
    assert out.tolist() == [[0.0, 600.0]]
    assert x.grad.isfinite().all()


def test_strided_bf16_and_empty(device):
    """One rounding at the end; the interpreter cuts, so a full step of bf16 (2^-7) is allowed."""
    torch.manual_seed(1)
    x = torch.randn(24, 6, device=device).bfloat16().T.requires_grad_()
    out = swiglu(x)
    assert out.dtype == torch.bfloat16
    expected = swiglu_reference(x.detach().double())
    torch.testing.assert_close(out.double(), expected, rtol=2**-7, atol=1e-6)
    out.backward(torch.ones(12, 6, device=device).bfloat16().T)
    assert x.grad.shape == x.shape
    empty = torch.empty(0, 8, device=device, requires_grad=True)
    swiglu(empty).sum().backward()
    assert empty.grad.shape == (0, 8)


def test_odd_width_is_named():
    with pytest.raises(ValueError, match="even"):
        swiglu(torch.ones(2, 7))
