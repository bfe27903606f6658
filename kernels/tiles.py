"""The four small pieces that every attention kernel here is built from (lesson 16).

`load_tile` reads rows of a matrix into a tile, `dot` multiplies two tiles, `softmax_step` is one step of the online
softmax (Milakov and Gimelshein 2018, arXiv 1805.02867; FlashAttention, arXiv 2205.14135), and `row_dot` computes the
row sums that the softmax backward needs. The kernels work in base 2: the GPU has an instruction for 2^x and none for
e^x, so log2(e) is multiplied into the scale once on the host.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from .common import INTERPRET

LOG2_E = 1.4426950408889634


def tile_width(width: int) -> int:
    """The smallest legal tile width for `width` channels: a power of two, at least the 16 that a matrix unit takes."""
    return max(16, triton.next_power_of_2(width))


@triton.jit
def load_tile(ptr, rows, stride, limit, WIDTH: tl.constexpr, TILE: tl.constexpr, CHECK_ROWS: tl.constexpr):
    """Rows `rows` of a matrix with row stride `stride`, WIDTH channels padded with zeros to TILE: (len(rows), TILE).

    CHECK_ROWS is off inside the main loops, where every row is known to exist: a load without a mask is cheaper.
    """
    columns = tl.arange(0, TILE)
    at = ptr + rows[:, None] * stride + columns[None, :]
    if WIDTH == TILE and not CHECK_ROWS:
        loaded = tl.load(at)
    elif CHECK_ROWS:
        loaded = tl.load(at, mask=(rows[:, None] < limit) & (columns[None, :] < WIDTH), other=0.0)
    else:
        loaded = tl.load(at, mask=columns[None, :] < WIDTH, other=0.0)
    return loaded


@triton.jit
def store_tile(ptr, rows, stride, limit, values, WIDTH: tl.constexpr, TILE: tl.constexpr):
    """Write the rows below `limit` and the first WIDTH channels of a tile."""
    columns = tl.arange(0, TILE)
    inside = (rows[:, None] < limit) & (columns[None, :] < WIDTH)
    tl.store(ptr + rows[:, None] * stride + columns[None, :], values.to(ptr.dtype.element_ty), mask=inside)


@triton.jit
def dot(a, b, INTERPRET: tl.constexpr):
    """a @ b, summed in fp32. The interpreter multiplies bf16 wrongly without an error, so there the tiles are widened
    first.
    """
    if INTERPRET:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, input_precision="ieee")


@triton.jit
def softmax_step(scores, scale_log2, peak, total):
    """Fold one tile of raw scores into a running softmax over the rows.

    Returns the unnormalised weights 2^(scale·score - new peak), the new peak, the new sum, and the factor by which
    everything summed so far must shrink because the peak rose.
    """
    new_peak = tl.maximum(peak, tl.max(scores, 1) * scale_log2)
    weights = tl.exp2(scores * scale_log2 - new_peak[:, None])
    shrink = tl.exp2(peak - new_peak)
    return weights, new_peak, total * shrink + tl.sum(weights, 1), shrink


@triton.jit
def _row_dot_kernel(
    a, b, out, rows_total, HEADS, stride_a, stride_b, WIDTH: tl.constexpr, TILE: tl.constexpr, ROWS: tl.constexpr
):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    limit = rows_total * HEADS
    at_a = load_tile(a, rows.to(tl.int64), stride_a, limit, WIDTH, TILE, True).to(tl.float32)
    at_b = load_tile(b, rows.to(tl.int64), stride_b, limit, WIDTH, TILE, True).to(tl.float32)
    tl.store(out + (rows % HEADS) * rows_total + rows // HEADS, tl.sum(at_a * at_b, 1), mask=rows < limit)


def row_dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Σ_d a·b of two contiguous (T, H, d) tensors as (H, T) float32.

    With a = dO and b = O this is the Σ_j P_ij dP_ij of the softmax backward: a sum over keys turned into one over
    channels.
    """
    rows_total, heads, width = a.shape
    out = torch.empty(heads, rows_total, dtype=torch.float32, device=a.device)
    rows = 512 if INTERPRET else 32
    grid = (triton.cdiv(rows_total * heads, rows),)
    _row_dot_kernel[grid](a, b, out, rows_total, heads, width, width, WIDTH=width, TILE=tile_width(width), ROWS=rows)
    return out
