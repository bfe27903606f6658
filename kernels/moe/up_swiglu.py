"""The up projection with SwiGLU in its epilogue: A = silu(X[token] W_gate^T) * (X[token] W_up^T) (lessons 06 and 16).

Tokens are gathered where they are read (the GEMM's prologue), never scattered where results are written: rows of one
token land in K different groups, and writing them back to one place would need atomics, whose order changes the sum
from run to run.
"""

import torch
import triton
import triton.language as tl

from ..tiles import dot
from .routing import RoutingPlan
from .tiles import as_operand, choose_tile, find_tile, halves, has_tma, load_gathered, persistent_grid


@triton.jit
def _up_swiglu_kernel(
    x, w, h, a, plan,
    D: tl.constexpr, F: tl.constexpr, SAVE_H: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr, TMA: tl.constexpr,
):  # fmt: skip
    """Gate and up columns f : f + BLOCK_N of a row tile, side by side in one product of 2 BLOCK_N columns.

    One wide product reads every X slice from shared memory once; two products of half the width read it twice.
    """
    num_f: tl.constexpr = (F + BLOCK_N - 1) // BLOCK_N
    total = tl.load(plan.num_tiles) * num_f
    for pid in tl.range(tl.program_id(0), total, tl.num_programs(0), flatten=True):
        expert, _, rows, safe_rows, real = find_tile(plan, pid // num_f, BLOCK_M)
        f = (pid % num_f) * BLOCK_N
        x_rows = x + tl.load(plan.token_of_row + safe_rows).to(tl.int64)[:, None] * D
        acc = tl.zeros([BLOCK_M, 2 * BLOCK_N], tl.float32)
        for k in range(0, D, BLOCK_K):
            x_tile = load_gathered(x_rows, k, D, BLOCK_K)
            w_tile = _load_gate_up(w, expert, f, k, D, F, BLOCK_N, BLOCK_K, TMA)
            acc = dot(x_tile, w_tile.T, acc)
        gate, up = halves(acc, BLOCK_M, 2 * BLOCK_N)
        cols = f + tl.arange(0, BLOCK_N)
        mask = real[:, None] & (cols < F)[None, :]
        row = rows.to(tl.int64)[:, None]
        if SAVE_H:
            h_tile = h + row * (2 * F) + cols[None, :]
            tl.store(h_tile, gate.to(h.dtype.element_ty), mask=mask)
            tl.store(h_tile + F, up.to(h.dtype.element_ty), mask=mask)
        activation = gate * tl.sigmoid(gate) * up
        tl.store(a + row * F + cols[None, :], activation.to(a.dtype.element_ty), mask=mask)


@triton.jit
def _load_gate_up(
    w, expert, f, k, D: tl.constexpr, F: tl.constexpr, ROWS: tl.constexpr, COLS: tl.constexpr, TMA: tl.constexpr
):
    """(2 ROWS, COLS): gate rows f : f + ROWS of an expert above its up rows, of weights seen as (E, 2, F, D)."""
    if TMA:
        tile = w.load([expert, 0, f, k]).reshape(2 * ROWS, COLS)
    else:
        r = tl.arange(0, 2 * ROWS)
        row = f + r % ROWS
        c = k + tl.arange(0, COLS)
        pointers = w + ((expert.to(tl.int64) * 2 + r // ROWS) * F + row)[:, None] * D + c[None, :]
        tile = tl.load(pointers, mask=(row < F)[:, None] & (c < D)[None, :], other=0.0)
    return tile


def up_swiglu(
    x: torch.Tensor, gate_up_proj: torch.Tensor, plan: RoutingPlan, *, save_h: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """A = silu(X W_gate^T) * (X W_up^T) for every sorted row.

    Args:
        x: (T, D) contiguous tokens.
        gate_up_proj: (E, 2F, D) contiguous, gate rows first.
        save_h: also return the pre-activation, which only training needs.

    Returns:
        A (R, F) and H (R, 2F) or None.
    """
    num_rows, d, f = plan.token_of_row.numel(), x.shape[1], gate_up_proj.shape[1] // 2
    tile = choose_tile("up", plan.block_m, x)
    a = x.new_empty(num_rows, f)
    h = x.new_empty(num_rows, 2 * f) if save_h else None
    stacked = gate_up_proj.view(-1, 2, f, d)
    _up_swiglu_kernel[persistent_grid(plan, triton.cdiv(f, tile.cols), tile)](
        x, as_operand(stacked, [1, 2, tile.cols, tile.inner]), h, a, plan, D=d, F=f, SAVE_H=save_h,
        TMA=has_tma(stacked), **tile.options,
    )  # fmt: skip
    return a, h
