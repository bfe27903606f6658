"""SwiGLU against float64 autograd."""

import pytest
import torch
import torch.nn.functional as F
from minikimi_kernels.common import relative_error
from minikimi_kernels.elementwise.swiglu import swiglu, swiglu_reference


# More elements than one program takes, no power of two, a single one, several leading dimensions.
@pytest.mark.parametrize("shape", [(5, 1408), (37, 100), (1, 1), (2, 3, 64)])
def test_forward_and_backward(shape, device):
    """silu on the gate only: swapped sides, or up through the sigmoid, differ at once."""
    torch.manual_seed(0)
    gate, up = ((3 * torch.randn(shape, device=device)).requires_grad_() for _ in range(2))
    wide = [x.detach().double().requires_grad_() for x in (gate, up)]
    expected = F.silu(wide[0]) * wide[1]
    out = swiglu(gate, up)
    assert relative_error(out, expected) < 1e-6
    assert relative_error(swiglu_reference(gate, up), expected) < 1e-6
    grad = torch.randn_like(out)
    found = torch.autograd.grad(out, (gate, up), grad)
    for ours, theirs in zip(found, torch.autograd.grad(expected, wide, grad.double()), strict=True):
        assert relative_error(ours, theirs) < 1e-6


def test_large_gates_do_not_overflow(device):
    gate, up = (torch.tensor(x, device=device, requires_grad=True) for x in ([-200.0, 200.0], [3.0, 3.0]))
    out = swiglu(gate, up)
    out.sum().backward()
    assert out.tolist() == [0.0, 600.0]
    assert gate.grad.isfinite().all() and up.grad.isfinite().all()


def test_strided_bf16_and_empty(device):
    """One rounding at the end; the interpreter cuts, so a full step of bf16 (2^-7) is allowed."""
    torch.manual_seed(1)
    both = torch.randn(24, 6, device=device).bfloat16().requires_grad_()
    gate, up = both.T.chunk(2)
    out = swiglu(gate, up)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.double(), swiglu_reference(gate.double(), up.double()), rtol=2**-7, atol=1e-6)
    out.backward(torch.ones(24, 3, device=device).bfloat16().T)
    assert both.grad.shape == both.shape and both.grad.abs().min() > 0
    empty = torch.empty(0, 8, device=device, requires_grad=True)
    swiglu(empty, empty).sum().backward()
    assert empty.grad.shape == (0, 8)


def test_unlike_sides_are_named():
    with pytest.raises(ValueError, match=r"gate \(2, 7\) torch.float32 and up \(2, 6\)"):
        swiglu(torch.ones(2, 7), torch.ones(2, 6))
