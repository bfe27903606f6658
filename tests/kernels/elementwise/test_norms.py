"""RMSNorm and LayerNorm, with and without residual, against float64 autograd of formulas written out here."""

import pytest
import torch
import torch.nn.functional as F
from minikimi_kernels.common import relative_error
from minikimi_kernels.elementwise.norms import layer_norm, layer_norm_reference, rms_norm, rms_norm_reference


def leaf(*shape: int, device: torch.device, dtype=torch.float32) -> torch.Tensor:
    return torch.randn(*shape, device=device).to(dtype).requires_grad_()


def true_rms(x, weight, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight


def gradients(outputs, grads, *leaves):
    return torch.autograd.grad(outputs, leaves, grads)


# Row groups with a rest, width no power of two, one row, one column, leading dimensions, more rows than programs.
SHAPES = [(37, 100), (1, 64), (5, 1), (2, 3, 33), (300, 16)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("with_residual", [False, True])
def test_rms_norm(shape, with_residual, device):
    """eps of 0.05 against rows of mean square near 0.09: a wrong or missing eps moves the result by 20%."""
    torch.manual_seed(0)
    eps, weight = 0.05, leaf(shape[-1], device=device)
    x, residual = leaf(*shape, device=device), leaf(*shape, device=device)
    with torch.no_grad():
        x *= 0.3
    grad = torch.randn(2, *shape, device=device)
    if with_residual:
        out = rms_norm(x, weight, eps, residual)
        found = gradients(out, tuple(grad), x, residual, weight)
        wide = [t.detach().double().requires_grad_() for t in (x, residual, weight)]
        total = wide[0] + wide[1]
        true = (true_rms(total, wide[2], eps), total)
        expected = gradients(true, tuple(grad.double()), *wide)
        assert relative_error(out[1], true[1]) < 1e-6
        out, true = out[0], true[0]
    else:
        out = rms_norm(x, weight, eps)
        found = gradients(out, grad[0], x, weight)
        wide = [t.detach().double().requires_grad_() for t in (x, weight)]
        true = true_rms(*wide, eps)
        expected = gradients(true, grad[0].double(), *wide)
    assert relative_error(out, true) < 1e-6
    for ours, theirs in zip(found, expected, strict=True):
        assert relative_error(ours, theirs) < 5e-6


@pytest.mark.parametrize("shape", [(37, 100), (1, 64), (2, 3, 33)])
def test_layer_norm(shape, device):
    """Rows far from zero mean, so that a mean left in would show; torch in float64 is the reference."""
    torch.manual_seed(1)
    x, weight, bias = leaf(*shape, device=device), leaf(shape[-1], device=device), leaf(shape[-1], device=device)
    residual, grad = leaf(*shape, device=device), torch.randn(2, *shape, device=device)
    with torch.no_grad():
        x += 3.0
    wide = [t.detach().double().requires_grad_() for t in (x, weight, bias, residual)]
    out = layer_norm(x, weight, bias, 0.05)
    true = F.layer_norm(wide[0], shape[-1:], wide[1], wide[2], 0.05)
    assert relative_error(out, true) < 1e-6
    ours, theirs = gradients(out, grad[0], x, weight, bias), gradients(true, grad[0].double(), *wide[:3])
    for a, b in zip(ours, theirs, strict=True):
        assert relative_error(a, b) < 5e-6
    out = layer_norm(x, weight, bias, 0.05, residual)
    total = wide[0] + wide[3]
    true = (F.layer_norm(total, shape[-1:], wide[1], wide[2], 0.05), total)
    ours = gradients(out, tuple(grad), x, weight, bias, residual)
    for a, b in zip(ours, gradients(true, tuple(grad.double()), *wide), strict=True):
        assert relative_error(a, b) < 5e-6


def test_rms_norm_rounds_before_the_weight(device):
    """fp16, where the interpreter rounds correctly: the cast comes before the weight, and the other order differs."""
    torch.manual_seed(2)
    x, weight = leaf(64, 96, device=device, dtype=torch.float16), leaf(96, device=device, dtype=torch.float16)
    out = rms_norm(x, weight, 1e-5)
    wide = x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-5)
    late = (wide * weight.float()).half()
    same = (out == rms_norm_reference(x, weight, 1e-5)).double().mean()
    assert same > 0.99 and (out == late).double().mean() < 0.9


def test_what_is_normed_is_what_the_next_layer_sees(device):
    """The sum is rounded to fp16 before it is normed, so that both results belong to one tensor."""
    torch.manual_seed(5)
    x, residual = (leaf(16, 64, device=device, dtype=torch.float16) for _ in range(2))
    weight = leaf(64, device=device, dtype=torch.float16)
    out, total = rms_norm(x, weight, residual=residual)
    assert torch.equal(out, rms_norm(total.detach(), weight))


def test_bf16_within_two_steps(device):
    """bf16 keeps 8 bits, and the interpreter cuts instead of rounding: two steps are 2^-6 of the value at most."""
    torch.manual_seed(3)
    x, weight = leaf(33, 72, device=device, dtype=torch.bfloat16), leaf(72, device=device, dtype=torch.bfloat16)
    bias = leaf(72, device=device, dtype=torch.bfloat16)
    pairs = [(rms_norm(x, weight), rms_norm_reference(x, weight))]
    pairs += [(layer_norm(x, weight, bias), layer_norm_reference(x, weight, bias))]
    for out, expected in pairs:
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


def test_only_the_sum_is_used(device):
    """The last layer's new residual may be the only output with a gradient."""
    x, residual, weight = leaf(3, 8, device=device), leaf(3, 8, device=device), leaf(8, device=device)
    rms_norm(x, weight, residual=residual)[1].sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x)) and torch.equal(residual.grad, torch.ones_like(x))


def test_shapes_that_do_not_fit_are_named(device):
    with pytest.raises(ValueError, match=r"weight \(3,\)"):
        rms_norm(torch.ones(2, 4), torch.ones(3))
    with pytest.raises(ValueError, match="residual"):
        rms_norm(torch.ones(2, 4), torch.ones(4), residual=torch.ones(1, 4))
