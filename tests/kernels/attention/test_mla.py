"""MLA attention kernels against float64 and torch's own attention: packed, causal, forward and every gradient.

Lengths are chosen around the interpreter's tiles (64 queries, 32 keys): shorter than one, one position, none, a partial
last tile. float32 inputs leave errors near 1e-7, so 1e-5 rejects a missing mask, a leak between segments, a wrong scale
or a rotary-key gradient that forgot some heads: each of those changes the result by more than a percent.
"""

import pytest
import torch
import torch.nn.functional as F
from minikimi_kernels.attention.mla import mla_attention, mla_attention_reference
from minikimi_kernels.common import relative_error

NAMES = ("q_nope", "q_rope", "k_nope", "k_rope", "v")


def make_inputs(total, heads, nope, rope, value, device, seed=0):
    torch.manual_seed(seed)
    shapes = [(total, heads, nope), (total, heads, rope), (total, heads, nope), (total, rope), (total, heads, value)]
    return [torch.randn(shape, dtype=torch.float64).to(device).requires_grad_() for shape in shapes]


def offsets(lengths, device):
    return torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32).to(device)


def run_both(inputs, lengths, scale, device, dtype=torch.float32):
    """(output, gradients) of the kernel and of the float64 reference, for one random upstream gradient."""
    cu_seqlens = offsets(lengths, device)
    expected = mla_attention_reference(*inputs, cu_seqlens, scale)
    upstream = torch.randn_like(expected).to(dtype).double()  # both sides get what the dtype can hold
    leaves = [x.detach().to(dtype).requires_grad_() for x in inputs]
    found = mla_attention(*leaves, cu_seqlens, max(lengths), scale)
    kernel = (found, *torch.autograd.grad(found, leaves, upstream.to(dtype)))
    return kernel, (expected, *torch.autograd.grad(expected, inputs, upstream))


@pytest.mark.parametrize(
    ("lengths", "widths"),
    [
        ([70, 0, 1, 133], (16, 16, 16)),  # ragged, an empty and a one-token segment, two query tiles with a partial one
        ([64, 128], (16, 8, 16)),  # whole tiles only, a rotary part narrower than a tile
        ([0, 45, 0], (24, 8, 40)),  # empty first and last, no width a power of two
    ],
)
def test_output_and_gradients_match_float64(lengths, widths, device):
    inputs = make_inputs(sum(lengths), 2, *widths, device)
    kernel, reference = run_both(inputs, lengths, 0.3, device)
    for name, found, expected in zip(("out", *NAMES), kernel, reference, strict=True):
        assert found.shape == expected.shape
        assert relative_error(found, expected) < 1e-5, name


def test_matches_torch_attention_with_expanded_keys_and_padded_values(device):
    """What a library call needs, as an independent witness: the rope key copied to each head, one segment at a time."""
    lengths, heads = [40, 77], 3
    inputs = [x.detach().float() for x in make_inputs(sum(lengths), heads, 32, 16, 32, device)]
    q_nope, q_rope, k_nope, k_rope, v = inputs
    found = mla_attention(*inputs, offsets(lengths, device), max(lengths), 48**-0.5)
    q = torch.cat([q_nope, q_rope], -1)
    k = torch.cat([k_nope, k_rope[:, None].expand(-1, heads, -1)], -1)
    parts = [x.transpose(0, 1).split(lengths, 1) for x in (q, k, v)]
    expected = [F.scaled_dot_product_attention(*segment, is_causal=True) for segment in zip(*parts, strict=True)]
    assert relative_error(found, torch.cat(expected, 1).transpose(0, 1)) < 1e-5


def test_slices_of_wider_tensors_and_a_broadcast_gradient(device):
    """The model passes slices of its projections, and `.sum()` sends back a gradient with stride 0."""
    torch.manual_seed(1)
    q = torch.randn(50, 2, 32, device=device, requires_grad=True)
    kv = torch.randn(50, 2, 48, device=device, requires_grad=True)
    shared = torch.randn(50, 80, device=device, requires_grad=True)
    cu_seqlens = offsets([20, 30], device)

    def parts(q, kv, shared):
        return q[..., :16], q[..., 16:], kv[..., :16], shared[:, 64:], kv[..., 16:]

    found = mla_attention(*parts(q, kv, shared), cu_seqlens, 30, 0.2)
    expected = mla_attention_reference(*parts(*(x.double() for x in (q, kv, shared))), cu_seqlens, 0.2)
    assert relative_error(found, expected) < 1e-5
    kernel_grads = torch.autograd.grad(found.sum(), (q, kv, shared))
    for a, b in zip(kernel_grads, torch.autograd.grad(expected.sum(), (q, kv, shared)), strict=True):
        assert relative_error(a, b) < 1e-5


def test_transposed_inputs_are_accepted(device):
    inputs = [x.detach().float() for x in make_inputs(20, 2, 16, 16, 16, device)]
    turned = [x.transpose(0, -1).contiguous().transpose(0, -1) for x in inputs]
    assert turned[0].stride(-1) != 1
    cu_seqlens = offsets([20], device)
    assert torch.equal(mla_attention(*turned, cu_seqlens, 20, 0.2), mla_attention(*inputs, cu_seqlens, 20, 0.2))


def test_a_poisoned_neighbour_changes_nothing(device):
    """NaN in one sequence must not reach another, not even through a zero weight: 0 · NaN is NaN."""
    lengths = [30, 50]
    inputs = [x.detach().float() for x in make_inputs(80, 2, 16, 16, 16, device)]
    clean = mla_attention(*inputs, offsets(lengths, device), 50, 0.2)
    for x in inputs:
        x[30:] = float("nan")
    poisoned = mla_attention(*inputs, offsets(lengths, device), 50, 0.2)
    assert torch.equal(poisoned[:30], clean[:30])
    assert poisoned[30:].isnan().all()


def test_backward_repeats_bit_for_bit(device):
    inputs = make_inputs(100, 4, 16, 16, 16, device)
    first, _ = run_both(inputs, [60, 40], 0.2, device)
    torch.manual_seed(0)
    second, _ = run_both(make_inputs(100, 4, 16, 16, 16, device), [60, 40], 0.2, device)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_bfloat16_stays_within_its_rounding(device):
    """Large scores as well: the softmax must subtract its peak, or 2^x overflows."""
    inputs = [(x * 3).detach().bfloat16().double().requires_grad_() for x in make_inputs(90, 2, 32, 16, 32, device)]
    kernel, reference = run_both(inputs, [90], 0.3, device, torch.bfloat16)
    assert kernel[0].dtype == torch.bfloat16
    for found, expected in zip(kernel, reference, strict=True):
        assert relative_error(found, expected) < 2e-2


def test_no_tokens_and_no_segments(device):
    inputs = [x.detach().float().requires_grad_() for x in make_inputs(0, 2, 16, 16, 16, device)]
    out = mla_attention(*inputs, offsets([], device), 0, 1.0)
    assert out.shape == (0, 2, 16)
    assert [g.shape for g in torch.autograd.grad(out.sum(), inputs)] == [x.shape for x in inputs]


def test_mismatched_shapes_are_named(device):
    inputs = make_inputs(10, 2, 16, 8, 16, device)
    inputs[3] = inputs[3][:9]
    with pytest.raises(ValueError, match=r"\(9, 8\)"):
        mla_attention(*inputs, offsets([10], device), 10, 1.0)
