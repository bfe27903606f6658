"""What attention kernels share: heads whose channels come in parts, and one step of the online softmax (lesson 16).

The width of a head seldom fits a tile. MLA scores a query by 128 channels of the head's own and 64 rotary channels that
all heads share; MoonViT's heads are 72 = 64 + 8 wide. So queries, keys and values are tuples of one or two parts, each
with its own tile, and a product over the width is a sum over parts. The shared rotary key is a part whose stride from
head to head is zero: no copy for each head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from ..tiles import dot, load_tile, store_tile, tile_width

LOG2_E = 1.4426950408889634
"""The kernels work in base 2, as a GPU has an instruction for 2^x and none for e^x: log2(e) joins the scale once."""


class Heads(NamedTuple):
    """A (T, H, d) tensor as a kernel sees it: its address, and the strides between positions and between heads."""

    ptr: torch.Tensor
    row: int
    head: int


class Rows(NamedTuple):
    """The positions of one segment and one head."""

    ptr: torch.Tensor
    row: int


def heads(tensors: tuple[torch.Tensor, ...]) -> tuple[Heads, ...]:
    """(T, H, d), or (T, d) for what all heads share, as kernel arguments; the last stride must be 1."""
    return tuple(Heads(x, x.stride(0), _known(x.stride(1) if x.dim() == 3 else 0)) for x in tensors)


def _known(stride: int) -> int | tl.constexpr:
    """Triton sees of a number only whether 16 divides it. Of 72 as a constant it sees that 8 does: wide loads."""
    return stride if stride % 16 == 0 else tl.constexpr(stride)


@triton.jit
def locate(cu_seqlens):
    """(head, first position, length) of this program's segment: the grid is (blocks, heads, segments)."""
    segment = tl.program_id(2)
    begin = tl.load(cu_seqlens + segment).to(tl.int64)
    return tl.program_id(1), begin, (tl.load(cu_seqlens + segment + 1) - begin).to(tl.int32)


@triton.jit
def rows_of(tensor, begin, head):
    return Rows(tensor.ptr + begin * tensor.row + head * tensor.head, tensor.row)


@triton.jit
def select(tensors, begin, head):
    """Each tensor from position `begin` on, for one head."""
    if len(tensors) == 1:
        selected = (rows_of(tensors[0], begin, head),)
    else:
        selected = (rows_of(tensors[0], begin, head), rows_of(tensors[1], begin, head))
    return selected


@triton.jit
def second(selected, WIDTHS: tl.constexpr):
    """Where the second part lies: in a tensor of its own, or behind the channels of the first."""
    return selected[1] if len(selected) == 2 else Rows(selected[0].ptr + WIDTHS[0], selected[0].row)


@triton.jit
def load(selected, rows, limit, WIDTHS: tl.constexpr, CHECK_ROWS: tl.constexpr):
    """One tile for each part."""
    first = load_tile(selected[0].ptr, rows, selected[0].row, limit, WIDTHS[0], CHECK_ROWS)
    if len(WIDTHS) == 1:
        tiles = (first,)
    else:
        rest = second(selected, WIDTHS)
        tiles = (first, load_tile(rest.ptr, rows, rest.row, limit, WIDTHS[1], CHECK_ROWS))
    return tiles


@triton.jit
def store(selected, rows, limit, tiles, factor, WIDTHS: tl.constexpr):
    """Write factor · tile for each part."""
    store_tile(selected[0].ptr, rows, selected[0].row, limit, tiles[0] * factor, WIDTHS[0])
    if len(WIDTHS) == 2:
        rest = second(selected, WIDTHS)
        store_tile(rest.ptr, rows, rest.row, limit, tiles[1] * factor, WIDTHS[1])


@triton.jit
def zeros(ROWS: tl.constexpr, WIDTHS: tl.constexpr):
    """An fp32 accumulator for each part."""
    if len(WIDTHS) == 1:
        tiles = (tl.zeros([ROWS, tile_width(WIDTHS[0])], tl.float32),)
    else:
        tiles = (
            tl.zeros([ROWS, tile_width(WIDTHS[0])], tl.float32),
            tl.zeros([ROWS, tile_width(WIDTHS[1])], tl.float32),
        )
    return tiles


@triton.jit
def inner(a, b):
    """a · bᵀ over the channels of all parts: (rows of a, rows of b)."""
    product = dot(a[0], b[0].T)
    if len(a) == 2:
        product += dot(a[1], b[1].T)
    return product


@triton.jit
def outer(weights, tiles, sums):
    """sums + weights @ tile for each part."""
    if len(tiles) == 1:
        added = (sums[0] + dot(weights, tiles[0]),)
    else:
        added = (sums[0] + dot(weights, tiles[0]), sums[1] + dot(weights, tiles[1]))
    return added


@triton.jit
def scale_rows(tiles, factor):
    """factor[row] · tile for each part."""
    if len(tiles) == 1:
        scaled = (tiles[0] * factor[:, None],)
    else:
        scaled = (tiles[0] * factor[:, None], tiles[1] * factor[:, None])
    return scaled


@triton.jit
def softmax_step(scores, scale_log2, peak, total):
    """Fold one tile of raw scores into a running softmax over the rows (Milakov and Gimelshein, arXiv 1805.02867).

    Returns the unnormalised weights 2^(scale·score - new peak), the new peak, the new sum, and the factor by which
    everything summed so far must shrink because the peak rose.
    """
    new_peak = tl.maximum(peak, tl.max(scores, 1) * scale_log2)
    weights = tl.exp2(scores * scale_log2 - new_peak[:, None])
    shrink = tl.exp2(peak - new_peak)
    return weights, new_peak, total * shrink + tl.sum(weights, 1), shrink
