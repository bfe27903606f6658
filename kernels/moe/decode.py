"""The routed experts for a handful of tokens: no sorting, two kernels that stream each chosen expert once (lesson 16).

With B = 1 and K = 6 the layer reads 6 experts' weights (104 MB for Moonlight) and does next to no arithmetic, so the
only question is how fast the weights stream. Every program owns some output columns of one (token, chosen expert)
pair, reads their weight rows with wide loads and keeps fp32 sums in registers:

    up      grid (B * K, F / BLOCK_N)   A[b, k, n] = silu(x . gate row n) * (x . up row n)
    down    grid (B, D / BLOCK_N)       out[b, n]  = sum over k of w[b, k] (A[b, k] . down row n)    (the combine)

No routing tables, no host sync, static shapes: both kernels sit in a CUDA graph.
"""

import torch
import triton
import triton.language as tl

from ..common import INTERPRET
from .experts import check_arguments

UP = {"BLOCK_N": 4, "BLOCK_K": 1024, "num_warps": 4}
DOWN = {"BLOCK_N": 4, "BLOCK_K": 512, "num_warps": 4}
INTERPRETED = {"BLOCK_N": 64, "BLOCK_K": 64}


@triton.jit
def _decode_up_kernel(
    x,
    topk_idx,
    w,
    a,
    D: tl.constexpr,
    F: tl.constexpr,
    TOP_K: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
):
    slot = tl.program_id(0)
    expert = tl.load(topk_idx + slot).to(tl.int64)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    gate_rows = w + (expert * (2 * F) + n)[:, None] * D
    gate = tl.zeros([BLOCK_N, BLOCK_K], tl.float32)
    up = tl.zeros([BLOCK_N, BLOCK_K], tl.float32)
    for first in tl.static_range(0, D, BLOCK_K):
        k = first + tl.arange(0, BLOCK_K)
        mask = (n < F)[:, None] & (k < D)[None, :]
        value = tl.load(x + slot // TOP_K * D + k, mask=k < D, other=0.0).to(tl.float32)[None, :]
        gate += value * tl.load(gate_rows + k[None, :], mask=mask, other=0.0).to(tl.float32)
        up += value * tl.load(gate_rows + F * D + k[None, :], mask=mask, other=0.0).to(tl.float32)
    g = tl.sum(gate, axis=1)
    tl.store(a + slot * F + n, g * tl.sigmoid(g) * tl.sum(up, axis=1), mask=n < F)


@triton.jit
def _decode_down_kernel(
    a, topk_idx, topk_weight, w, out,
    D: tl.constexpr, F: tl.constexpr, TOP_K: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(0)
    n = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    total = tl.zeros([BLOCK_N, BLOCK_K], tl.float32)
    for choice in tl.static_range(TOP_K):
        slot = token * TOP_K + choice
        rows = w + (tl.load(topk_idx + slot).to(tl.int64) * D + n)[:, None] * F
        weight = tl.load(topk_weight + slot).to(tl.float32)
        for first in tl.static_range(0, F, BLOCK_K):
            k = first + tl.arange(0, BLOCK_K)
            mask = (n < D)[:, None] & (k < F)[None, :]
            value = weight * tl.load(a + slot * F + k, mask=k < F, other=0.0)
            total += value[None, :] * tl.load(rows + k[None, :], mask=mask, other=0.0).to(tl.float32)
    tl.store(out + token * D + n, tl.sum(total, axis=1).to(out.dtype.element_ty), mask=n < D)


def moe_decode(
    x: torch.Tensor,
    topk_idx: torch.Tensor,
    topk_weight: torch.Tensor,
    gate_up_proj: torch.Tensor,
    down_proj: torch.Tensor,
) -> torch.Tensor:
    """Routed experts of B tokens without sorting; arguments and result as in `moe_experts`, no backward.

    Meant for B <= 8: every (token, expert) pair streams its expert's weights, so pairs that share an expert read it
    twice (the second time mostly from L2), where the grouped GEMM would read it once.

    Raises:
        ValueError: shapes or dtypes do not fit together.
    """
    check_arguments(x, topk_idx, topk_weight, gate_up_proj, down_proj)
    (num_tokens, top_k), d, f = topk_idx.shape, x.shape[1], down_proj.shape[2]
    a = torch.empty(num_tokens * top_k, f, dtype=torch.float32, device=x.device)
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    if num_tokens == 0:
        return out
    x, topk_idx, topk_weight = x.contiguous(), topk_idx.contiguous(), topk_weight.contiguous()
    up, down = (INTERPRETED, INTERPRETED) if INTERPRET else (UP, DOWN)
    sizes = {"D": d, "F": f, "TOP_K": top_k}
    _decode_up_kernel[(num_tokens * top_k, triton.cdiv(f, up["BLOCK_N"]))](
        x, topk_idx, gate_up_proj.contiguous(), a, **sizes, **up
    )
    _decode_down_kernel[(num_tokens, triton.cdiv(d, down["BLOCK_N"]))](
        a, topk_idx, topk_weight, down_proj.contiguous(), out, **sizes, **down
    )
    return out
