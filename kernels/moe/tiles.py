"""Tiles of a grouped product: which rows of which expert, how large, and how their operands are read (lesson 16).

A tile is BLOCK_M rows of one expert by BLOCK_N columns; it never crosses from one expert to the next. The programs in
flight at one time work on neighbouring tiles, so they share one expert's weights and rows through the L2 cache. Rows
that are sorted and weights are read by the bulk copy engine (TMA) where there is one; token rows are gathered by
address.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from ..common import card
from .routing import RoutingPlan


class Tile(NamedTuple):
    """Block sizes and launch options of one GEMM; `per_sm` programs fit on one multiprocessor at a time."""

    rows: int
    cols: int
    inner: int
    num_warps: int
    num_stages: int
    per_sm: int = 1

    @property
    def options(self) -> dict[str, int]:
        """Keyword arguments of a launch."""
        registers = min(255, 65536 // (32 * self.num_warps * self.per_sm))  # a multiprocessor has 65536
        blocks = {"BLOCK_M": self.rows, "BLOCK_N": self.cols, "BLOCK_K": self.inner}
        return blocks | {"num_warps": self.num_warps, "num_stages": self.num_stages, "maxnreg": registers}


TILES = {  # 16-bit operands on Hopper: shared memory holds several slices of both operands, up to 4 x 48 KiB of 227
    "up": Tile(128, 128, 64, 8, 4),  # two accumulators of 128 x 128, gate and up
    "rows": Tile(128, 256, 64, 8, 4),
    "down_backward": Tile(128, 128, 64, 8, 3, per_sm=2),
    # The gathered operand gets the narrow side. Its row numbers are loaded two stages earlier, hence the many stages.
    "weight, left gathered": Tile(128, 256, 64, 8, 5),
    "weight, right gathered": Tile(256, 128, 32, 8, 9),
}


def choose_tile(gemm: str, block_m: int, operand: torch.Tensor) -> Tile:
    """Tile of a GEMM by name; few rows per expert, fp32 operands or little shared memory get smaller ones."""
    if operand.dtype == torch.float32:
        return Tile(min(block_m, 64), 64, 32, 4, 2)
    large = card(operand.device).has_large_shared_memory
    if block_m >= 128 and large:
        return TILES[gemm]
    cols = 64 if gemm == "up" else 128
    stages = 4 if large else 2
    return Tile(min(block_m, 64), cols, 64, 4, stages, per_sm=2)


def choose_block_m(num_rows: int, num_experts: int, operand: torch.Tensor) -> int:
    """Rows in a tile: near the average group, between the smallest dot (16) and the largest useful tile."""
    largest = 128 if operand.dtype != torch.float32 and card(operand.device).has_large_shared_memory else 64
    return max(16, min(largest, triton.next_power_of_2(num_rows // num_experts)))


def has_tma(matrix: torch.Tensor) -> bool:
    """Whether the bulk copy engine (sm_90 and later) can read this matrix: 16-byte base and row stride."""
    aligned = matrix.data_ptr() % 16 == 0 and matrix.stride(-2) * matrix.element_size() % 16 == 0
    return aligned and card(matrix.device).capability >= 90


def as_operand(matrix: torch.Tensor, block: list[int]) -> torch.Tensor | TensorDescriptor:
    """A contiguous matrix as `load_block` wants it: a TMA descriptor where possible, else the tensor itself."""
    return TensorDescriptor.from_tensor(matrix, block) if has_tma(matrix) else matrix


def persistent_grid(plan: RoutingPlan, tiles_per_row_tile: int, tile: Tile) -> tuple[int]:
    """As many programs as run at one time, and no more than there can be tiles; each takes every n-th tile."""
    at_once = card(plan.offsets.device).multiprocessors * tile.per_sm
    return (min(at_once, plan.tile_expert.numel() * tiles_per_row_tile),)


@triton.jit
def find_tile(plan, tile, BLOCK_M: tl.constexpr):
    """(expert, first row, row numbers, clamped row numbers, which rows are real) of a tile.

    Rows past the end of the group are clamped to its last row: they are computed, at no cost, and never stored, which
    spares every load a mask.
    """
    expert = tl.load(plan.tile_expert + tile)
    first = tl.load(plan.tile_row + tile)
    end = tl.load(plan.offsets + expert + 1)
    rows = first + tl.arange(0, BLOCK_M)
    return expert, first, rows, tl.minimum(rows, end - 1), rows < end


@triton.jit
def load_block(
    matrix, row, col, num_rows, NUM_COLS: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, TMA: tl.constexpr
):
    """matrix[row : row + ROWS, col : col + COLS] of a row-major matrix, zeros outside it."""
    if TMA:
        tile = matrix.load([row, col])
    else:
        r = row + tl.arange(0, ROWS)
        c = col + tl.arange(0, COLS)
        mask = (r < num_rows)[:, None] & (c < NUM_COLS)[None, :]
        tile = tl.load(matrix + r.to(tl.int64)[:, None] * NUM_COLS + c[None, :], mask=mask, other=0.0)
    return tile


@triton.jit
def load_gathered(row_pointers, col, NUM_COLS: tl.constexpr, COLS: tl.constexpr):
    """Columns col : col + COLS of rows given by their addresses (ROWS, 1), zeros past the last column."""
    c = col + tl.arange(0, COLS)
    if NUM_COLS % COLS == 0:
        tile = tl.load(row_pointers + c[None, :])
    else:
        tile = tl.load(row_pointers + c[None, :], mask=(c < NUM_COLS)[None, :], other=0.0)
    return tile


@triton.jit
def halves(tile, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Left and right half of a tile; free, since the halves are different registers of the same threads."""
    return tl.split(tl.permute(tl.reshape(tile, (ROWS, 2, COLS // 2)), (0, 2, 1)))
