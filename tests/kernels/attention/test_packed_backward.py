"""The backward kernels under MLA and MoonViT. Their gradients are tested through both, here what they share."""

import torch
from minikimi_kernels.attention.packed import Blocks, Kind, attend, choose_blocks, launch
from minikimi_kernels.attention.packed_backward import attend_backward, row_dot
from minikimi_kernels.common import relative_error


def test_row_dot(device):
    """More rows than one program takes, and a width that is no power of two; heads come first in the result."""
    a, b = torch.randn(2, 300, 3, 20, device=device)
    assert relative_error(row_dot(a, b), (a.double() * b.double()).sum(-1).T) < 1e-6


def test_gradients_of_a_head_in_two_parts_without_a_mask(device):
    """One head of 16 + 8 channels in one tensor, two segments; the definition in float64 is differentiated by torch."""
    q, k, v, upstream = torch.randn(4, 80, 1, 24, device=device)
    bounds = torch.tensor([0, 66, 80], dtype=torch.int32, device=device)
    kind, blocks = Kind((16, 8), (16, 8), False), choose_blocks(Blocks(*[launch(64, 64, 4, 1)] * 3), q)
    out, grads = torch.empty_like(v), [torch.full_like(x, float("nan")) for x in (q, k, v)]
    lse = attend((q,), (k,), (v,), (out,), bounds, 66, 0.3, kind, blocks.forward)
    inputs = ((q,), (k,), (v,), (upstream,))
    attend_backward(inputs, tuple((g,) for g in grads), lse, row_dot(upstream, out), bounds, 66, 0.3, kind, blocks)
    wide = [x.double().requires_grad_() for x in (q, k, v)]
    parts = []
    for one in (slice(0, 66), slice(66, 80)):
        scores = torch.einsum("qhd,khd->hqk", wide[0][one], wide[1][one]) * 0.3
        parts.append(torch.einsum("hqk,khd->qhd", scores.softmax(-1), wide[2][one]))
    expected = torch.autograd.grad(torch.cat(parts), wide, upstream.double())
    for found, true in zip(grads, expected, strict=True):
        assert relative_error(found, true) < 1e-5


def test_very_small_weights_do_not_overflow(device):
    """All scores near -4000, so the log-sum is too: a key past the end, of score 0, would weigh 2^4000."""
    q = torch.full((10, 1, 16), 30.0, device=device)
    k, v, upstream = -q + torch.randn_like(q), torch.randn_like(q), torch.randn_like(q)
    bounds = torch.tensor([0, 10], dtype=torch.int32, device=device)
    kind, blocks = Kind((16,), (16,), False), choose_blocks(Blocks(*[launch(64, 64, 4, 1)] * 3), q)
    out, grads = torch.empty_like(v), [torch.empty_like(x) for x in (q, k, v)]
    lse = attend((q,), (k,), (v,), (out,), bounds, 10, 0.3, kind, blocks.forward)
    inputs = ((q,), (k,), (v,), (upstream,))
    attend_backward(inputs, tuple((g,) for g in grads), lse, row_dot(upstream, out), bounds, 10, 0.3, kind, blocks)
    assert all(g.isfinite().all() for g in (out, *grads))
