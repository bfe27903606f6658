"""The two grouped GEMMs that carry SwiGLU in their epilogue, and the combine kernel (lessons 06 and 16).

    up_swiglu        H = X[token] @ W_gate_up[e]^T,  A = silu(gate) * up            (forward)
    down_backward    dA' = dO[token] @ W_down[e], then in registers: dH, w A, <dA', A>   (backward)
    combine          out[t] = sum over k of w[t, k] * Y[row of slot (t, k)]         (forward, and dX)

Tokens are gathered where they are read (the GEMM's prologue), never scattered where results are written: rows of one
token land in K different groups, and writing them back to one place would need atomics, whose order changes the sum
from run to run. The backward pass keeps only X and the pre-activation H; A is computed again from H.
"""

import torch
import triton
import triton.language as tl

from ..common import INTERPRET
from .grouped_gemm import (
    as_operand,
    choose_tile,
    dot,
    dot_options,
    find_tile,
    has_tma,
    load_gathered,
    load_tile,
    persistent_grid,
)
from .routing import RoutingPlan


@triton.jit
def _up_swiglu_kernel(
    x,
    w,
    h,
    a,
    token_of_row,
    tile_expert,
    tile_row,
    offsets,
    num_tiles,
    D: tl.constexpr,
    F: tl.constexpr,
    SAVE_H: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_K: tl.constexpr,
    TMA: tl.constexpr,
    PRECISION: tl.constexpr,
    INTERPRET: tl.constexpr,
):
    """Gate and up columns f : f + BLOCK_F of a row tile, side by side in one product of 2 BLOCK_F columns.

    One wide product reads every X slice from shared memory once; two products of half the width read it twice.
    """
    num_f: tl.constexpr = (F + BLOCK_F - 1) // BLOCK_F
    total = tl.load(num_tiles) * num_f
    for pid in tl.range(tl.program_id(0), total, tl.num_programs(0), flatten=True):
        expert, _, rows, safe_rows, real = find_tile(tile_expert, tile_row, offsets, pid // num_f, BLOCK_M)
        f = (pid % num_f) * BLOCK_F
        x_rows = x + tl.load(token_of_row + safe_rows).to(tl.int64)[:, None] * D
        acc = tl.zeros([BLOCK_M, 2 * BLOCK_F], tl.float32)
        for k in range(0, D, BLOCK_K):
            x_tile = load_gathered(x_rows, k, D, BLOCK_K)
            w_tile = _load_gate_up(w, expert, f, k, D, F, BLOCK_F, BLOCK_K, TMA)
            acc = dot(x_tile, w_tile.T, acc, PRECISION, INTERPRET)
        gate, up = halves(acc, BLOCK_M, 2 * BLOCK_F)
        cols = f + tl.arange(0, BLOCK_F)
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


@triton.jit
def halves(tile, ROWS: tl.constexpr, COLS: tl.constexpr):
    """Left and right half of a tile; free, since the halves are different registers of the same threads."""
    return tl.split(tl.permute(tl.reshape(tile, (ROWS, 2, COLS // 2)), (0, 2, 1)))


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
        x, as_operand(stacked, [1, 2, tile.cols, tile.inner]), h, a, plan.token_of_row, plan.tile_expert,
        plan.tile_row, plan.offsets, plan.num_tiles, D=d, F=f, SAVE_H=save_h, BLOCK_M=tile.rows, BLOCK_F=tile.cols,
        BLOCK_K=tile.inner, TMA=has_tma(stacked), **dot_options(x.dtype), **tile.launch,
    )  # fmt: skip
    return a, h


@triton.jit
def _down_backward_kernel(
    grad_out,
    w,
    h,
    weight_of_slot,
    dh,
    wa,
    dweight_parts,
    token_of_row,
    slot_of_row,
    tile_expert,
    tile_row,
    offsets,
    num_tiles,
    num_w_rows,
    D: tl.constexpr,
    F: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_F: tl.constexpr,
    BLOCK_K: tl.constexpr,
    TMA: tl.constexpr,
    PRECISION: tl.constexpr,
    INTERPRET: tl.constexpr,
):
    """Tiles of dA' = dO[token] @ W_down[e], and everything that needs them while they are still in registers."""
    num_f: tl.constexpr = (F + BLOCK_F - 1) // BLOCK_F
    total = tl.load(num_tiles) * num_f
    for pid in tl.range(tl.program_id(0), total, tl.num_programs(0)):
        expert, _, rows, safe_rows, real = find_tile(tile_expert, tile_row, offsets, pid // num_f, BLOCK_M)
        f = (pid % num_f) * BLOCK_F
        grad_rows = grad_out + tl.load(token_of_row + safe_rows).to(tl.int64)[:, None] * D
        da = tl.zeros([BLOCK_M, BLOCK_F], tl.float32)
        for k in range(0, D, BLOCK_K):
            grad_tile = load_gathered(grad_rows, k, D, BLOCK_K)
            w_tile = load_tile(w, expert * D + k, f, num_w_rows, F, BLOCK_K, BLOCK_F, TMA)
            da = dot(grad_tile, w_tile, da, PRECISION, INTERPRET)
        row = rows.to(tl.int64)
        weight = tl.load(weight_of_slot + tl.load(slot_of_row + safe_rows)).to(tl.float32)
        # In four column strips: gate, up and their gradients for the whole tile at once would not fit in registers.
        left, right = halves(da, BLOCK_M, BLOCK_F)
        part = tl.zeros([BLOCK_M], tl.float32)
        for strip in tl.static_range(4):
            half = left if strip < 2 else right
            first, second = halves(half, BLOCK_M, BLOCK_F // 2)
            da_strip = first if strip % 2 == 0 else second
            cols = f + strip * (BLOCK_F // 4) + tl.arange(0, BLOCK_F // 4)
            part += _swiglu_backward(da_strip, weight, h, dh, wa, row, cols, real, F)
        tl.store(dweight_parts + row * num_f + pid % num_f, part, mask=real)


@triton.jit
def _swiglu_backward(da, weight, h, dh, wa, row, cols, real, F: tl.constexpr):
    """Store dH and w A of one strip, return <dA', A> of its columns.

    With s = sigmoid(gate) and dA = w dA':  dgate = dA up s (1 + gate (1 - s)),  dup = dA gate s.
    """
    mask = real[:, None] & (cols < F)[None, :]
    h_tile = row[:, None] * (2 * F) + cols[None, :]
    gate = tl.load(h + h_tile, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(h + h_tile + F, mask=mask, other=0.0).to(tl.float32)
    sigmoid = tl.sigmoid(gate)
    silu = gate * sigmoid
    part = tl.sum(tl.where(mask, da * silu * up, 0.0), axis=1)
    weight = weight[:, None]
    tl.store(wa + row[:, None] * F + cols[None, :], (weight * silu * up).to(wa.dtype.element_ty), mask=mask)
    da *= weight
    dgate = da * up * sigmoid * (1 + gate * (1 - sigmoid))
    tl.store(dh + h_tile, dgate.to(dh.dtype.element_ty), mask=mask)
    tl.store(dh + h_tile + F, (da * silu).to(dh.dtype.element_ty), mask=mask)
    return part


def down_backward(
    grad_out: torch.Tensor,
    down_proj: torch.Tensor,
    h: torch.Tensor,
    topk_weight: torch.Tensor,
    plan: RoutingPlan,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Backward through combine, the down projection and SwiGLU.

    Args:
        grad_out: (T, D) contiguous gradient of the layer's output.
        down_proj: (E, D, F) contiguous.
        h: (R, 2F) pre-activation from `up_swiglu`.
        topk_weight: (T, K) contiguous.

    Returns:
        dH (R, 2F); w A (R, F), the right factor of the down projection's gradient; d topk_weight (T, K) in fp32.
    """
    (num_rows, two_f), d = h.shape, grad_out.shape[1]
    f = two_f // 2
    tile = choose_tile("down_backward", plan.block_m, h)
    num_f = triton.cdiv(f, tile.cols)
    dh, wa = torch.empty_like(h), h.new_empty(num_rows, f)
    parts = torch.empty(num_rows, num_f, dtype=torch.float32, device=h.device)
    flat = down_proj.view(-1, f)
    _down_backward_kernel[persistent_grid(plan, num_f, tile)](
        grad_out, as_operand(flat, [tile.inner, tile.cols]), h, topk_weight, dh, wa, parts, plan.token_of_row,
        plan.slot_of_row, plan.tile_expert, plan.tile_row, plan.offsets, plan.num_tiles, flat.shape[0], D=d, F=f,
        BLOCK_M=tile.rows, BLOCK_F=tile.cols, BLOCK_K=tile.inner, TMA=has_tma(flat),
        **dot_options(h.dtype), **tile.launch,
    )  # fmt: skip
    return dh, wa, parts.sum(1)[plan.row_of_slot].view_as(topk_weight)


@triton.jit
def _combine_kernel(
    y,
    weight_of_slot,
    row_of_slot,
    out,
    num_tokens,
    D: tl.constexpr,
    TOP_K: tl.constexpr,
    WEIGHTED: tl.constexpr,
    BLOCK_T: tl.constexpr,
    BLOCK_D: tl.constexpr,
):
    """Gather the TOP_K rows of BLOCK_T tokens and add them in fp32, in the order of k."""
    token = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    cols = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    exists = token < num_tokens
    mask = exists[:, None] & (cols < D)[None, :]
    total = tl.zeros([BLOCK_T, BLOCK_D], tl.float32)
    for k in tl.static_range(TOP_K):
        row = tl.load(row_of_slot + token * TOP_K + k, mask=exists, other=0).to(tl.int64)
        value = tl.load(y + row[:, None] * D + cols[None, :], mask=mask, other=0.0).to(tl.float32)
        if WEIGHTED:
            value *= tl.load(weight_of_slot + token * TOP_K + k, mask=exists, other=0.0).to(tl.float32)[:, None]
        total += value
    tl.store(out + token.to(tl.int64)[:, None] * D + cols[None, :], total.to(out.dtype.element_ty), mask=mask)


def combine(y: torch.Tensor, plan: RoutingPlan, top_k: int, topk_weight: torch.Tensor | None = None) -> torch.Tensor:
    """out[t] = sum over k of w[t, k] * y[row_of_slot[t, k]]; without weights the plain sum (the gradient of a gather).

    Args:
        y: (R, D) sorted rows.
        topk_weight: (T, K) contiguous, or None for ones.

    Returns:
        (T, D) in y's dtype. Every row is read once and every token written once: bound by memory bandwidth.
    """
    num_tokens, d = y.shape[0] // top_k, y.shape[1]
    out = y.new_empty(num_tokens, d)
    block_t = 16 if INTERPRET else 1
    block_d = min(2048, triton.next_power_of_2(d))
    _combine_kernel[(triton.cdiv(num_tokens, block_t), triton.cdiv(d, block_d))](
        y, topk_weight, plan.row_of_slot, out, num_tokens, D=d, TOP_K=top_k, WEIGHTED=topk_weight is not None,
        BLOCK_T=block_t, BLOCK_D=block_d,
    )  # fmt: skip
    return out
