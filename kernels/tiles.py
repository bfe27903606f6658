"""The small pieces that kernels are built from: rows of a matrix into a tile and back, and the product of two tiles.

They exist because of two facts about tiles. A tile's sides are powers of two, and a matrix unit takes none under 16, so
a width of 72 channels needs a tile of 128 with a mask. And Triton's interpreter multiplies bf16 tiles wrongly without
an error, so there `dot` widens them first (lesson 16).
"""

from __future__ import annotations

import triton
import triton.language as tl

from .common import INTERPRET

WIDEN = tl.constexpr(INTERPRET)


@triton.constexpr_function
def tile_width(width):
    """The smallest legal tile width for `width` channels: a power of two, at least 16."""
    return max(16, triton.next_power_of_2(width))


@triton.jit
def load_tile(ptr, rows, stride, limit, WIDTH: tl.constexpr, CHECK_ROWS: tl.constexpr):
    """Rows `rows` of a matrix with row stride `stride`: (len(rows), tile_width(WIDTH)), zeros past WIDTH channels.

    CHECK_ROWS zeroes rows from `limit` on. It is off inside main loops, where every row is known to exist: a load
    without a mask is cheaper.
    """
    columns = tl.arange(0, tile_width(WIDTH))
    at = ptr + rows[:, None] * stride + columns[None, :]
    if tile_width(WIDTH) == WIDTH and not CHECK_ROWS:
        loaded = tl.load(at)
    elif CHECK_ROWS:
        loaded = tl.load(at, mask=(rows[:, None] < limit) & (columns[None, :] < WIDTH), other=0.0)
    else:
        loaded = tl.load(at, mask=columns[None, :] < WIDTH, other=0.0)
    return loaded


@triton.jit
def store_tile(ptr, rows, stride, limit, values, WIDTH: tl.constexpr):
    """Write the rows below `limit` and the first WIDTH channels of a tile."""
    columns = tl.arange(0, tile_width(WIDTH))
    inside = (rows[:, None] < limit) & (columns[None, :] < WIDTH)
    tl.store(ptr + rows[:, None] * stride + columns[None, :], values.to(ptr.dtype.element_ty), mask=inside)


@triton.jit
def dot(a, b, acc=None):
    """acc + a @ b, summed in fp32. fp32 operands count in full: Triton's default, tf32, has errors near 3e-4."""
    if WIDEN:
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, acc, input_precision="ieee")
