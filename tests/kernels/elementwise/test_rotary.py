"""Rotary embedding against complex multiplication in float64."""

import pytest
import torch
from minikimi_kernels.common import relative_error
from minikimi_kernels.elementwise.rotary import rotary, rotary_reference


def tables(*shape: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    angles = torch.rand(*shape, device=device) * 6.28
    return angles.cos(), angles.sin()


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """The definition: adjacent pairs are complex numbers, multiplied by cos + i sin of their token."""
    pairs = torch.view_as_complex(x.detach().double().unflatten(-1, (-1, 2)).contiguous())
    turn = torch.complex(cos.double(), sin.double()).unsqueeze(-2)
    return torch.view_as_real(pairs * turn).flatten(-2)


# LM rope part (64 wide), vision heads (72 wide, no power of two), one key head for all, one token, extra dimension.
@pytest.mark.parametrize("shape", [(37, 16, 64), (11, 3, 72), (50, 1, 64), (1, 1, 2), (2, 5, 4, 8)])
def test_forward_and_backward(shape, device):
    """Backward is the turn by the opposite angle; a forgotten sign there passes any test of norms alone."""
    torch.manual_seed(0)
    *leading, _, width = shape
    x = torch.randn(shape, device=device, requires_grad=True)
    cos, sin = tables(*leading, width // 2, device=device)
    out = rotary(x, cos, sin)
    assert relative_error(out, turned(x, cos, sin)) < 1e-6
    assert relative_error(rotary_reference(x.double(), cos.double(), sin.double()), turned(x, cos, sin)) < 1e-12
    grad = torch.randn_like(out)
    out.backward(grad)
    assert relative_error(x.grad, turned(grad, cos, -sin)) < 1e-6


def test_strided_view_is_read_in_place(device):
    """The last 64 of 192 query columns, and a gradient that comes back transposed."""
    torch.manual_seed(1)
    query = torch.randn(9, 4, 192, device=device, requires_grad=True)
    cos, sin = tables(9, 32, device=device)
    out = rotary(query[..., 128:], cos, sin)
    assert out.is_contiguous() and relative_error(out, turned(query[..., 128:], cos, sin)) < 1e-6
    grad = torch.randn(4, 9, 64, device=device).transpose(0, 1)
    out.backward(grad)
    assert relative_error(query.grad[..., 128:], turned(grad, cos, -sin)) < 1e-6
    assert query.grad[..., :128].abs().max() == 0
    every_second = torch.randn(9, 4, 128, device=device)[..., ::2]
    assert relative_error(rotary(every_second, cos, sin), turned(every_second, cos, sin)) < 1e-6


def test_bf16_and_zero_tokens(device):
    """One rounding at the end: a step of bf16, plus one because the interpreter cuts."""
    torch.manual_seed(2)
    x = torch.randn(21, 2, 64, device=device).bfloat16()
    cos, sin = tables(21, 32, device=device)
    out = rotary(x, cos, sin)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.double(), turned(x, cos, sin), rtol=2**-7, atol=1e-3)
    empty = torch.empty(0, 2, 64, device=device, requires_grad=True)
    rotary(empty, *tables(0, 32, device=device)).sum().backward()
    assert empty.grad.shape == (0, 2, 64)


def test_shapes_that_do_not_fit_are_named(device):
    with pytest.raises(ValueError, match="do not fit"):
        rotary(torch.ones(4, 2, 8), *tables(3, 4, device=device))
    with pytest.raises(ValueError, match="d even"):
        rotary(torch.ones(4, 2, 7), *tables(4, 3, device=device))
