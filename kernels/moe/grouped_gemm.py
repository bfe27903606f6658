"""Grouped GEMM: one launch multiplies the rows of every expert by that expert's own matrix (lessons 06 and 16).

Two kernels, both over the sorted rows of a `RoutingPlan`:

    multiply_rows     out[r, :]  = rows[r, :] @ W[e]          for the rows r of expert e   (down projection, dX)
    weight_gradient   dW[e]      = sum over rows r of e of  left[r, :]^T right[r, :]       (both dW)

`multiply_rows` is persistent: one program per multiprocessor walks over the tiles, and `flatten` makes one software
pipeline of all of them, so the loads of the next tile are under way while the last one is stored.
"""

import torch
import triton
import triton.language as tl

from ..tiles import dot
from .routing import RoutingPlan
from .tiles import as_operand, choose_tile, find_tile, has_tma, load_block, persistent_grid


@triton.jit
def _multiply_rows_kernel(
    a, w, out, plan, num_rows, num_w_rows,
    N: tl.constexpr, K: tl.constexpr, TRANSPOSED: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr, TMA_A: tl.constexpr, TMA_W: tl.constexpr,
):  # fmt: skip
    """Tiles of out = a @ W[e]^T (TRANSPOSED, W stored (N, K)) or a @ W[e] (W stored (K, N))."""
    num_n: tl.constexpr = (N + BLOCK_N - 1) // BLOCK_N
    total = tl.load(plan.num_tiles) * num_n
    for pid in tl.range(tl.program_id(0), total, tl.num_programs(0), flatten=True):
        expert, first, rows, _, real = find_tile(plan, pid // num_n, BLOCK_M)
        n = (pid % num_n) * BLOCK_N
        acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
        for k in range(0, K, BLOCK_K):
            a_tile = load_block(a, first, k, num_rows, K, BLOCK_M, BLOCK_K, TMA_A)
            if TRANSPOSED:
                w_tile = load_block(w, expert * N + n, k, num_w_rows, K, BLOCK_N, BLOCK_K, TMA_W).T
            else:
                w_tile = load_block(w, expert * K + k, n, num_w_rows, N, BLOCK_K, BLOCK_N, TMA_W)
            acc = dot(a_tile, w_tile, acc)
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
        a_operand, w_operand, out, plan, num_rows, flat.shape[0], N=cols, K=inner, TRANSPOSED=transposed,
        TMA_A=has_tma(a), TMA_W=has_tma(flat), **tile.options,
    )  # fmt: skip
    return out


@triton.jit
def _weight_gradient_kernel(
    left, right, out, plan, num_rows,
    M: tl.constexpr, N: tl.constexpr, GATHER_LEFT: tl.constexpr, ACCUMULATE: tl.constexpr, BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """One (BLOCK_M, BLOCK_N) tile of dW[e]; the sum runs over the rows of expert e, BLOCK_K at a time."""
    num_m: tl.constexpr = (M + BLOCK_M - 1) // BLOCK_M
    num_n: tl.constexpr = (N + BLOCK_N - 1) // BLOCK_N
    pid = tl.program_id(0)
    expert = pid // (num_m * num_n)
    m = (pid // num_n) % num_m * BLOCK_M
    n = pid % num_n * BLOCK_N
    begin, end = tl.load(plan.offsets + expert), tl.load(plan.offsets + expert + 1)
    cols_m, cols_n = m + tl.arange(0, BLOCK_M), n + tl.arange(0, BLOCK_N)
    acc = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
    for row in range(begin, end, BLOCK_K):
        rows = row + tl.arange(0, BLOCK_K)
        token = tl.load(plan.token_of_row + rows, mask=rows < end, other=0).to(tl.int64)[:, None]
        # The gathered side is zero past the group's end, so what the other side reads of the next group counts nothing.
        if GATHER_LEFT:
            mask = (rows < end)[:, None] & (cols_m < M)[None, :]
            left_tile = tl.load(left + token * M + cols_m[None, :], mask=mask, other=0.0)
            right_tile = load_block(right, row, n, num_rows, N, BLOCK_K, BLOCK_N, TMA)
        else:
            mask = (rows < end)[:, None] & (cols_n < N)[None, :]
            left_tile = load_block(left, row, m, num_rows, M, BLOCK_K, BLOCK_M, TMA)
            right_tile = tl.load(right + token * N + cols_n[None, :], mask=mask, other=0.0)
        acc = dot(left_tile.T, right_tile, acc)
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
        left if gather_left else operand, operand if gather_left else right, out, plan, plain.shape[0],
        M=m, N=n, GATHER_LEFT=gather_left, ACCUMULATE=accumulate, TMA=has_tma(plain), **tile.options,
    )  # fmt: skip
