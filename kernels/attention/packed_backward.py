"""Backward pass of attention within packed segments: two kernels, neither of which adds atomically (lesson 16).

With P = softmax(scale·S) kept as its log-sum, dP = dO·Vᵀ and Δ = Σ_d dO·O, the softmax backward is dS = P∘(dP - Δ), and

    dV = Pᵀ·dO      dK = scale·dSᵀ·Q      (sums over queries)      dQ = scale·dS·K      (sum over keys)

    key-value kernel                          query kernel
    one program = BLOCK_K keys,               one program = BLOCK_Q queries,
    walks the queries downwards               walks the keys to the right
          k                                     ┌──────────→ ◣
          ◣  ↓ diagonal first
          █  ↓ then full tiles                  (drawn causal; else each walks the whole segment)

Each recomputes the scores it needs from Q and K (FlashAttention-2, arXiv 2307.08691). One fused kernel would save two
of the seven products but would have to add dQ atomically: its sums would change with the order in which programs
finish, and a training run could not be repeated bit for bit.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..common import INTERPRET
from ..tiles import load_tile
from .packed import Blocks, Kind, Tensors
from .parts import LOG2_E, heads, inner, load, locate, outer, select, store, zeros


@triton.jit
def _row_dot_kernel(a, b, out, positions, HEADS, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    limit = positions * HEADS
    at_a = load_tile(a, rows.to(tl.int64), WIDTH, limit, WIDTH, True).to(tl.float32)
    at_b = load_tile(b, rows.to(tl.int64), WIDTH, limit, WIDTH, True).to(tl.float32)
    tl.store(out + (rows % HEADS) * positions + rows // HEADS, tl.sum(at_a * at_b, 1), mask=rows < limit)


def row_dot(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Σ_d a·b of two contiguous (T, H, d) tensors as (H, T) float32.

    With a = dO and b = O this is the Σ_j P_ij dP_ij of the softmax backward: a sum over keys turned into one over
    channels.
    """
    positions, num_heads, width = a.shape
    out = torch.empty(num_heads, positions, dtype=torch.float32, device=a.device)
    rows = 512 if INTERPRET else 32
    grid = (triton.cdiv(positions * num_heads, rows),)
    _row_dot_kernel[grid](a, b, out, positions, num_heads, WIDTH=width, ROWS=rows)
    return out


@triton.jit
def _attend_key_value_kernel(
    q, k, v, grad_out, dk, dv, lse, delta, cu_seqlens, scale, scale_log2, total,
    QK: tl.constexpr, V: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    head, begin, length = locate(cu_seqlens)
    first = tl.program_id(0) * BLOCK_K  # the first keys are seen by the most queries: the longest programs start first
    if first >= length:
        return
    at = first + tl.arange(0, BLOCK_K)
    keys = load(select(k, begin, head), at, length, QK, True)
    values = load(select(v, begin, head), at, length, V, True)
    q, grad_out = select(q, begin, head), select(grad_out, begin, head)
    lse += head * total + begin
    delta += head * total + begin
    key_sums, value_sums = zeros(BLOCK_K, QK), zeros(BLOCK_K, V)

    # Tiles are kept transposed (keys x queries): Pᵀ and dSᵀ then feed the next product straight from registers.
    for q0 in range(first if CAUSAL else 0, length, BLOCK_Q):
        rows = q0 + tl.arange(0, BLOCK_Q)
        queries, grads = load(q, rows, length, QK, True), load(grad_out, rows, length, V, True)
        scores, dp = inner(keys, queries), inner(values, grads)
        # Rows past the end read zeros everywhere, so they add nothing: P = 1, dO = 0, Δ = 0.
        row_lse = tl.load(lse + rows, mask=rows < length, other=0.0)
        row_delta = tl.load(delta + rows, mask=rows < length, other=0.0)
        weights = tl.exp2(scores * scale_log2 - row_lse[None, :])
        if CAUSAL and q0 < first + BLOCK_K:
            weights = tl.where(rows[None, :] >= at[:, None], weights, 0.0)
        ds = (weights * (dp - row_delta[None, :])).to(queries[0].dtype)
        value_sums = outer(weights.to(grads[0].dtype), grads, value_sums)
        key_sums = outer(ds, queries, key_sums)

    store(select(dk, begin, head), at, length, key_sums, scale, QK)
    store(select(dv, begin, head), at, length, value_sums, 1.0, V)


@triton.jit
def _attend_query_kernel(
    q, k, v, grad_out, dq, lse, delta, cu_seqlens, scale, scale_log2, total,
    QK: tl.constexpr, V: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    head, begin, length = locate(cu_seqlens)
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_Q
    if first >= length:
        return
    rows = first + tl.arange(0, BLOCK_Q)
    queries = load(select(q, begin, head), rows, length, QK, True)
    grads = load(select(grad_out, begin, head), rows, length, V, True)
    row_lse = tl.load(lse + head * total + begin + rows, mask=rows < length, other=0.0)
    row_delta = tl.load(delta + head * total + begin + rows, mask=rows < length, other=0.0)
    k, v = select(k, begin, head), select(v, begin, head)
    sums = zeros(BLOCK_Q, QK)

    for k0 in range(0, min(first + BLOCK_Q, length) if CAUSAL else length, BLOCK_K):
        at = k0 + tl.arange(0, BLOCK_K)
        keys = load(k, at, length, QK, True)
        weights = tl.exp2(inner(queries, keys) * scale_log2 - row_lse[:, None])
        # A key past the end is zero, but its weight is not, and 2^-lse may overflow: 0 · inf would be NaN.
        if CAUSAL:
            if k0 + BLOCK_K > first:
                weights = tl.where(rows[:, None] >= at[None, :], weights, 0.0)
        else:
            weights = tl.where(at[None, :] < length, weights, 0.0)
        ds = weights * (inner(grads, load(v, at, length, V, True)) - row_delta[:, None])
        sums = outer(ds.to(keys[0].dtype), keys, sums)

    store(select(dq, begin, head), rows, length, sums, scale, QK)


def attend_backward(
    inputs: tuple[Tensors, Tensors, Tensors, Tensors], grads: tuple[Tensors, Tensors, Tensors], lse: torch.Tensor,
    delta: torch.Tensor, cu_seqlens: torch.Tensor, max_seqlen: int, scale: float, kind: Kind, blocks: Blocks,
) -> None:  # fmt: skip
    """Write the gradients of `attend`: inputs (q, k, v, dO) and grads (dq, dk, dv) are tensors as there.

    A part of dk is (T, H, d) also where all heads share the key: the caller adds the heads up. `lse` comes from the
    forward pass, `delta` (H, T) from `row_dot` of dO and O. Cost: 2.6 times the forward FLOPs of MLA if every product
    is counted once, 3.6 times with the scores and dP that the query kernel computes again.
    """
    dq, dk, dv = grads
    total, num_heads = inputs[0][0].shape[:2]
    segments = cu_seqlens.numel() - 1
    if total == 0 or segments == 0 or max_seqlen == 0:
        return
    tensors = [heads(x) for x in inputs]
    numbers = (lse, delta, cu_seqlens, scale, scale * LOG2_E, total, *kind)
    grid = (triton.cdiv(max_seqlen, blocks.key_value["BLOCK_K"]), num_heads, segments)
    _attend_key_value_kernel[grid](*tensors, heads(dk), heads(dv), *numbers, **blocks.key_value)
    grid = (triton.cdiv(max_seqlen, blocks.query["BLOCK_Q"]), num_heads, segments)
    _attend_query_kernel[grid](*tensors, heads(dq), *numbers, **blocks.query)
