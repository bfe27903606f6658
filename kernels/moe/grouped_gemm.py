"""Grouped GEMM: one launch multiplies the rows of every expert by that expert's own matrix (lessons 06 and 16).

Two kernels, both over the sorted rows of a `RoutingPlan`:

    multiply_rows     out[r, :]  = rows[r, :] @ W[e]          for the rows r of expert e   (down projection, dX)
    weight_gradient   dW[e]      = sum over rows r of e of  left[r, :]^T right[r, :]       (both dW)

A tile is BLOCK_M rows of one expert by BLOCK_N columns. The programs in flight at one time work on neighbouring tiles,
so they share one expert's weights and rows through the L2 cache. `multiply_rows` is persistent: one program per
multiprocessor walks over the tiles, and `flatten` makes one software pipeline of all of them, so the loads of the next
tile are under way while the last one is stored. The helpers at the top (tile lookup, loads, dot) and the tile sizes are
shared with the fused kernels of `moe_swiglu`.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from ..common import INTERPRET, card
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
    def launch(self) -> dict[str, int]:
        registers = min(255, 65536 // (32 * self.num_warps * self.per_sm))  # a multiprocessor has 65536
        return {"num_warps": self.num_warps, "num_stages": self.num_stages, "maxnreg": registers}


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
    """A contiguous matrix as `load_tile` wants it: a TMA descriptor where possible, else the tensor itself."""
    return TensorDescriptor.from_tensor(matrix, block) if has_tma(matrix) else matrix


def dot_options(dtype: torch.dtype) -> dict[str, object]:
    """fp32 operands are multiplied in full precision (Triton's default would be tf32, error near 3e-4)."""
    return {"PRECISION": "ieee" if dtype == torch.float32 else "tf32", "INTERPRET": INTERPRET}


def persistent_grid(plan: RoutingPlan, tiles_per_row_tile: int, tile: Tile) -> tuple[int]:
    """As many programs as run at one time, and no more than there can be tiles; each takes every n-th tile."""
    at_once = card(plan.offsets.device).multiprocessors * tile.per_sm
    return (min(at_once, plan.tile_expert.numel() * tiles_per_row_tile),)


@triton.jit
def find_tile(tile_expert, tile_row, offsets, tile, BLOCK_M: tl.constexpr):
    """(expert, first row, row numbers, clamped row numbers, which rows are real) of a tile.

    Rows past the end of the group are clamped to its last row: they are computed, at no cost, and never stored, which
    spares every load a mask.
    """
    expert = tl.load(tile_expert + tile)
    first = tl.load(tile_row + tile)
    end = tl.load(offsets + expert + 1)
    rows = first + tl.arange(0, BLOCK_M)
    return expert, first, rows, tl.minimum(rows, end - 1), rows < end


@triton.jit
def load_tile(
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
def dot(a, b, acc, PRECISION: tl.constexpr, INTERPRET: tl.constexpr):
    """acc + a @ b in fp32; the interpreter's own bf16 product is garbage, so there the operands are widened first."""
    if INTERPRET:
        acc += tl.dot(a.to(tl.float32), b.to(tl.float32), input_precision="ieee")
    else:
        acc = tl.dot(a, b, acc, input_precision=PRECISION)
    return acc


@triton.jit
def _multiply_rows_kernel(
    a,
    w,
    out,
    tile_expert,
    tile_row,
    offsets,
    num_tiles,
    num_rows,
    num_w_rows,
    N: tl.constexpr,
    K: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    TMA_A: tl.constexpr,
    TMA_W: tl.constexpr,
    PRECISION: tl.constexpr,
    INTERPRET: tl.constexpr,
):
    """Tiles of out = a @ W[e]^T (TRANSPOSED, W stored (N, K)) or a @ W[e] (W stored (K, N))."""
    num_n: tl.constexpr = (N + BLOCK_N - 1) // BLOCK_N
    total = tl.load(num_tiles) * num_n
    for pid in tl.range(tl.program_id(0), total, tl.num_programs(0), flatten=True):
        expert, first, rows, _, real = find_tile(tile_expert, tile_row, offsets, pid // num_n, BLOCK_M)
        n = (pid % num_n) * BLOCK_N
        acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
        for k in range(0, K, BLOCK_K):
            a_tile = load_tile(a, first, k, num_rows, K, BLOCK_M, BLOCK_K, TMA_A)
            if TRANSPOSED:
                w_tile = load_tile(w, expert * N + n, k, num_w_rows, K, BLOCK_N, BLOCK_K, TMA_W).T
            else:
                w_tile = load_tile(w, expert * K + k, n, num_w_rows, N, BLOCK_K, BLOCK_N, TMA_W)
            acc = dot(a_tile, w_tile, acc, PRECISION, INTERPRET)
        cols = n + tl.arange(0, BLOCK_N)
        mask = real[:, None] & (cols < N)[None, :]
        tl.store(out + rows.to(tl.int64)[:, None] * N + cols[None, :], acc.to(out.dtype.element_ty), mask=mask)


def multiply_rows(a: torch.Tensor, w: torch.Tensor, plan: RoutingPlan, *, transposed: bool) -> torch.Tensor:
    """out[r] = a[r] @ W[e]^T (transposed, W (E, N, K)) or a[r] @ W[e] (W (E, K, N)), e the expert of sorted row r.

    Args:
        a: (R, K) rows in the plan's order, contiguous.
        w: (E, N, K) if transposed else (E, K, N), contiguous.

    Returns:
        (R, N) in a's dtype, summed in fp32.
    """
    num_rows, inner = a.shape
    cols = w.shape[1] if transposed else w.shape[2]
    tile = choose_tile("rows", plan.block_m, a)
    out = a.new_empty(num_rows, cols)
    flat = w.view(-1, w.shape[2])
    a_operand = as_operand(a, [tile.rows, tile.inner])
    w_operand = as_operand(flat, [tile.cols, tile.inner] if transposed else [tile.inner, tile.cols])
    grid = persistent_grid(plan, triton.cdiv(cols, tile.cols), tile)
    _multiply_rows_kernel[grid](
        a_operand, w_operand, out, plan.tile_expert, plan.tile_row, plan.offsets, plan.num_tiles, num_rows,
        flat.shape[0], N=cols, K=inner, TRANSPOSED=transposed, BLOCK_M=tile.rows, BLOCK_N=tile.cols, BLOCK_K=tile.inner,
        TMA_A=has_tma(a), TMA_W=has_tma(flat), **dot_options(a.dtype), **tile.launch,
    )  # fmt: skip
    return out


@triton.jit
def _weight_gradient_kernel(
    left,
    right,
    token_of_row,
    offsets,
    out,
    num_rows,
    M: tl.constexpr,
    N: tl.constexpr,
    GATHER_LEFT: tl.constexpr,
    ACCUMULATE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    TMA: tl.constexpr,
    PRECISION: tl.constexpr,
    INTERPRET: tl.constexpr,
):
    """One (BLOCK_M, BLOCK_N) tile of dW[e]; the sum runs over the rows of expert e, BLOCK_K at a time."""
    num_m: tl.constexpr = (M + BLOCK_M - 1) // BLOCK_M
    num_n: tl.constexpr = (N + BLOCK_N - 1) // BLOCK_N
    pid = tl.program_id(0)
    expert = pid // (num_m * num_n)
    m = (pid // num_n) % num_m * BLOCK_M
    n = pid % num_n * BLOCK_N
    begin, end = tl.load(offsets + expert), tl.load(offsets + expert + 1)
    cols_m, cols_n = m + tl.arange(0, BLOCK_M), n + tl.arange(0, BLOCK_N)
    acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for row in range(begin, end, BLOCK_K):
        rows = row + tl.arange(0, BLOCK_K)
        token = tl.load(token_of_row + rows, mask=rows < end, other=0).to(tl.int64)[:, None]
        # The gathered side is zero past the group's end, so what the other side reads of the next group counts nothing.
        if GATHER_LEFT:
            mask = (rows < end)[:, None] & (cols_m < M)[None, :]
            left_tile = tl.load(left + token * M + cols_m[None, :], mask=mask, other=0.0)
            right_tile = load_tile(right, row, n, num_rows, N, BLOCK_K, BLOCK_N, TMA)
        else:
            mask = (rows < end)[:, None] & (cols_n < N)[None, :]
            left_tile = load_tile(left, row, m, num_rows, M, BLOCK_K, BLOCK_M, TMA)
            right_tile = tl.load(right + token * N + cols_n[None, :], mask=mask, other=0.0)
        acc = dot(left_tile.T, right_tile, acc, PRECISION, INTERPRET)
    where = out + (expert.to(tl.int64) * M + cols_m)[:, None] * N + cols_n[None, :]
    mask = (cols_m < M)[:, None] & (cols_n < N)[None, :]
    if ACCUMULATE:
        acc += tl.load(where, mask=mask, other=0.0).to(tl.float32)
    tl.store(where, acc.to(out.dtype.element_ty), mask=mask)


def weight_gradient(
    left: torch.Tensor,
    right: torch.Tensor,
    plan: RoutingPlan,
    *,
    gather_left: bool,
    out: torch.Tensor,
    accumulate: bool,
) -> None:
    """out[e] (+)= sum over rows r of expert e of left[r]^T right[r]; experts without rows get zeros.

    Args:
        left: (T, M) token rows if gather_left, else (R, M) sorted rows; contiguous.
        right: (R, N) sorted rows if gather_left, else (T, N) token rows; contiguous.
        out: (E, M, N) contiguous, any float dtype; written in place.
        accumulate: add to what `out` holds instead of replacing it.
    """
    tile = choose_tile("weight, left gathered" if gather_left else "weight, right gathered", 128, left)
    (_, m), (_, n) = left.shape, right.shape
    plain = right if gather_left else left
    operand = as_operand(plain, [tile.inner, tile.cols if gather_left else tile.rows])
    grid = (out.shape[0] * triton.cdiv(m, tile.rows) * triton.cdiv(n, tile.cols),)
    _weight_gradient_kernel[grid](
        left if gather_left else operand, operand if gather_left else right, plan.token_of_row, plan.offsets, out,
        plain.shape[0], M=m, N=n, GATHER_LEFT=gather_left, ACCUMULATE=accumulate, BLOCK_M=tile.rows,
        BLOCK_N=tile.cols, BLOCK_K=tile.inner, TMA=has_tma(plain), **dot_options(left.dtype), **tile.launch,
    )  # fmt: skip
