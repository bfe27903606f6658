"""Gather the rows of each token and add them up: the layer's output, and dX (lessons 06 and 16)."""

import torch
import triton
import triton.language as tl

from ..common import INTERPRET
from .routing import RoutingPlan


@triton.jit
def _combine_kernel(
    y, weight_of_slot, row_of_slot, out, num_tokens,
    D: tl.constexpr, TOP_K: tl.constexpr, WEIGHTED: tl.constexpr, BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
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
