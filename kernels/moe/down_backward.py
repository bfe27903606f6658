"""Backward through the down projection and SwiGLU in one grouped GEMM (lessons 06 and 16).

    dA' = dO[token] @ W_down[e], then in registers: dH, w A, <dA', A>

The backward pass keeps only X and the pre-activation H of the forward; A is computed again from H.
"""

import torch
import triton
import triton.language as tl

from ..tiles import dot
from .routing import RoutingPlan
from .tiles import as_operand, choose_tile, find_tile, halves, has_tma, load_block, load_gathered, persistent_grid


@triton.jit
def _down_backward_kernel(
    grad_out, w, h, weight_of_slot, dh, wa, dweight_parts, plan, num_w_rows,
    D: tl.constexpr, F: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
    TMA: tl.constexpr,
):  # fmt: skip
    """Tiles of dA' = dO[token] @ W_down[e], and everything that needs them while they are still in registers."""
    num_f: tl.constexpr = (F + BLOCK_N - 1) // BLOCK_N
    total = tl.load(plan.num_tiles) * num_f
    for pid in tl.range(tl.program_id(0), total, tl.num_programs(0)):
        expert, _, rows, safe_rows, real = find_tile(plan, pid // num_f, BLOCK_M)
        f = (pid % num_f) * BLOCK_N
        grad_rows = grad_out + tl.load(plan.token_of_row + safe_rows).to(tl.int64)[:, None] * D
        da = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)
        for k in range(0, D, BLOCK_K):
            grad_tile = load_gathered(grad_rows, k, D, BLOCK_K)
            w_tile = load_block(w, expert * D + k, f, num_w_rows, F, BLOCK_K, BLOCK_N, TMA)
            da = dot(grad_tile, w_tile, da)
        row = rows.to(tl.int64)
        weight = tl.load(weight_of_slot + tl.load(plan.slot_of_row + safe_rows)).to(tl.float32)
        # In four column strips: gate, up and their gradients for the whole tile at once would not fit in registers.
        left, right = halves(da, BLOCK_M, BLOCK_N)
        part = tl.zeros([BLOCK_M], tl.float32)
        for strip in tl.static_range(4):
            half = left if strip < 2 else right
            first, second = halves(half, BLOCK_M, BLOCK_N // 2)
            da_strip = first if strip % 2 == 0 else second
            cols = f + strip * (BLOCK_N // 4) + tl.arange(0, BLOCK_N // 4)
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
        grad_out, as_operand(flat, [tile.inner, tile.cols]), h, topk_weight, dh, wa, parts, plan, flat.shape[0],
        D=d, F=f, TMA=has_tma(flat), **tile.options,
    )  # fmt: skip
    return dh, wa, parts.sum(1)[plan.row_of_slot].view_as(topk_weight)
