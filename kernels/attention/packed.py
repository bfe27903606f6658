"""Attention within each segment of a packed sequence, forward: the one kernel under MLA and MoonViT (lesson 16).

`cu_seqlens` says where each segment begins; one program handles BLOCK_Q queries of one head of one segment and walks
the keys with the online softmax of FlashAttention (arXiv 2205.14135). Whole tiles of keys need no mask and no bounds
check, the last ones have both:

    causal     keys →  0 ........ first ..... first+BLOCK_Q      not causal   keys →  0 ............ whole ... length
    queries            [ whole ][ whole ][◣ diagonal ]                        queries [ whole ][ whole ][ part]
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from ..common import INTERPRET, card
from .parts import LOG2_E, heads, inner, load, locate, outer, scale_rows, select, softmax_step, store, zeros

Tensors = tuple[torch.Tensor, ...]
Launch = dict[str, int]


class Kind(NamedTuple):
    """What the compiler knows of an attention: channels of each part of keys and of values, and the mask."""

    key_widths: tuple[int, ...]
    value_widths: tuple[int, ...]
    causal: bool


class Blocks(NamedTuple):
    """Tile sizes and launch options of the three kernels of one attention."""

    forward: Launch
    key_value: Launch
    query: Launch


def launch(block_q: int, block_k: int, warps: int, stages: int) -> Launch:
    return {"BLOCK_Q": block_q, "BLOCK_K": block_k, "num_warps": warps, "num_stages": stages}


INTERPRETED = Blocks(launch(64, 32, 4, 1), launch(32, 64, 4, 1), launch(64, 32, 4, 1))
FLOAT32 = Blocks(launch(32, 32, 8, 1), launch(16, 32, 8, 1), launch(32, 16, 8, 1))  # no matrix unit: registers bind
SMALL = Blocks(launch(64, 32, 4, 2), launch(32, 32, 4, 1), launch(64, 32, 4, 1))  # fits 99 KiB of shared memory


def choose_blocks(measured: Blocks, x: torch.Tensor) -> Blocks:
    """`measured` is for 16-bit operands on Hopper; the others were compiled for their cards and run on none."""
    if INTERPRET:
        return INTERPRETED
    if x.dtype == torch.float32:
        return FLOAT32
    if not card(x.device).has_large_shared_memory:
        return SMALL
    if card(x.device).capability >= 100:  # keeps a copy of one more operand in shared memory
        return measured._replace(query=measured.query | {"num_stages": 2})
    return measured


@triton.jit
def _attend_kernel(
    q, k, v, out, lse, cu_seqlens, scale_log2, total,
    QK: tl.constexpr, V: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    head, begin, length = locate(cu_seqlens)
    # The last queries see the most keys: starting them first leaves short programs to fill the gaps at the end.
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_Q
    if first >= length:
        return
    rows = first + tl.arange(0, BLOCK_Q)
    queries = load(select(q, begin, head), rows, length, QK, True)
    k, v = select(k, begin, head), select(v, begin, head)
    peak = tl.full([BLOCK_Q], float("-inf"), tl.float32)
    weight_sum = tl.zeros([BLOCK_Q], tl.float32)
    sums = zeros(BLOCK_Q, V)

    if CAUSAL:
        whole, end = first, min(first + BLOCK_Q, length)
    else:
        whole, end = length // BLOCK_K * BLOCK_K, length
    for masked in tl.static_range(2):  # first the whole tiles, then the diagonal or the last, partial tile
        for k0 in range(whole if masked else 0, end if masked else whole, BLOCK_K):
            at = k0 + tl.arange(0, BLOCK_K)
            scores = inner(queries, load(k, at, length, QK, masked))
            if masked:
                seen = rows[:, None] >= at[None, :] if CAUSAL else at[None, :] < length
                scores = tl.where(seen, scores, float("-inf"))
            weights, peak, weight_sum, shrink = softmax_step(scores, scale_log2, peak, weight_sum)
            values = load(v, at, length, V, masked)
            sums = outer(weights.to(values[0].dtype), values, scale_rows(sums, shrink))

    store(select(out, begin, head), rows, length, sums, 1.0 / weight_sum[:, None], V)
    tl.store(lse + head * total + begin + rows, peak + tl.log2(weight_sum), mask=rows < length)


def attend(
    q: Tensors, k: Tensors, v: Tensors, out: Tensors, cu_seqlens: torch.Tensor, max_seqlen: int, scale: float,
    kind: Kind, config: Launch,
) -> torch.Tensor:  # fmt: skip
    """Write softmax(scale · q kᵀ) v of each segment to `out`; the base-2 log of each row's softmax sum, (H, T) float32.

    Args:
        q, k, v, out: a tensor for each part or one with all channels, (T, H, d) with any strides but a last one of 1; a
            key part that all heads share is (T, d).
        cu_seqlens: (S+1,) int32, 0 first and T last.
        max_seqlen: positions of the longest segment. A smaller number leaves rows unwritten.
    """
    total, num_heads = q[0].shape[:2]
    lse = torch.empty(num_heads, total, dtype=torch.float32, device=out[0].device)
    grid = (triton.cdiv(max_seqlen, config["BLOCK_Q"]), num_heads, cu_seqlens.numel() - 1)
    if total > 0 and min(grid) > 0:
        tensors = (heads(q), heads(k), heads(v), heads(out))
        _attend_kernel[grid](*tensors, lse, cu_seqlens, scale * LOG2_E, total, *kind, **config)
    return lse
