"""Backward pass of MLA attention (lessons 05 and 16): two kernels, neither of which adds atomically.

With P = softmax(scale·S) kept as its log-sum, dP = dO·Vᵀ and Δ = Σ_d dO·O, the softmax backward is dS = P∘(dP - Δ), and

    dV = Pᵀ·dO      dK = scale·dSᵀ·Q      (sums over queries)      dQ = scale·dS·K      (sum over keys)

    key-value kernel                          query kernel
    one program = BLOCK_K keys,               one program = BLOCK_Q queries,
    walks the queries downwards               walks the keys to the right
          k                                     ┌──────────→ ◣
          ◣  ↓ diagonal first
          █  ↓ then full tiles

Each recomputes the scores it needs from Q and K (FlashAttention-2, arXiv 2307.08691). One fused kernel would save two
of the seven products but would have to add dQ atomically: its sums would change with the order in which programs
finish, and a training run could not be repeated bit for bit. The shared rotary key gets a gradient from every head;
each head writes its own and a plain sum over heads follows, for the same reason.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..common import INTERPRET
from ..tiles import LOG2_E, dot, load_tile, row_dot, store_tile, tile_width


@triton.jit
def _key_value_kernel(
    q_nope, q_rope, k_nope, k_rope, v, grad_out, lse, delta, dk_nope, dk_rope, dv, cu_seqlens, scale, scale_log2, total,
    stride_qn, head_qn, stride_qr, head_qr, stride_kn, head_kn, stride_kr, stride_v, head_v, stride_o, head_o,
    HEADS, D_NOPE: tl.constexpr, D_ROPE: tl.constexpr, D_V: tl.constexpr,
    T_NOPE: tl.constexpr, T_ROPE: tl.constexpr, T_V: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    head, segment = tl.program_id(1), tl.program_id(2)
    begin = tl.load(cu_seqlens + segment).to(tl.int64)
    length = (tl.load(cu_seqlens + segment + 1) - begin).to(tl.int32)
    first = tl.program_id(0) * BLOCK_K  # the first keys are seen by the most queries: the longest programs start first
    if first >= length:
        return
    keys = first + tl.arange(0, BLOCK_K)
    kn = load_tile(k_nope + begin * stride_kn + head * head_kn, keys, stride_kn, length, D_NOPE, T_NOPE, True)
    kr = load_tile(k_rope + begin * stride_kr, keys, stride_kr, length, D_ROPE, T_ROPE, True)
    values = load_tile(v + begin * stride_v + head * head_v, keys, stride_v, length, D_V, T_V, True)
    q_nope += begin * stride_qn + head * head_qn
    q_rope += begin * stride_qr + head * head_qr
    grad_out += begin * stride_o + head * head_o
    lse += head * total + begin
    delta += head * total + begin
    dkn = tl.zeros([BLOCK_K, T_NOPE], tl.float32)
    dkr = tl.zeros([BLOCK_K, T_ROPE], tl.float32)
    dvs = tl.zeros([BLOCK_K, T_V], tl.float32)

    # Tiles are kept transposed (keys x queries): Pᵀ and dSᵀ then feed the next product straight from registers.
    for q0 in range(first, length, BLOCK_Q):
        rows = q0 + tl.arange(0, BLOCK_Q)
        qn = load_tile(q_nope, rows, stride_qn, length, D_NOPE, T_NOPE, True)
        qr = load_tile(q_rope, rows, stride_qr, length, D_ROPE, T_ROPE, True)
        # Rows past the end read zeros everywhere, so they add nothing: P = 1, dO = 0, Δ = 0.
        row_lse = tl.load(lse + rows, mask=rows < length, other=0.0)
        row_delta = tl.load(delta + rows, mask=rows < length, other=0.0)
        scores = dot(kn, qn.T, INTERPRET) + dot(kr, qr.T, INTERPRET)
        weights = tl.exp2(scores * scale_log2 - row_lse[None, :])
        if q0 < first + BLOCK_K:
            weights = tl.where(rows[None, :] >= keys[:, None], weights, 0.0)
        grads = load_tile(grad_out, rows, stride_o, length, D_V, T_V, True)
        dvs += dot(weights.to(grads.dtype), grads, INTERPRET)
        dp = dot(values, grads.T, INTERPRET)
        ds = (weights * (dp - row_delta[None, :])).to(qn.dtype)
        dkn += dot(ds, qn, INTERPRET)
        dkr += dot(ds, qr, INTERPRET)

    row = HEADS * D_NOPE
    store_tile(dk_nope + begin * row + head * D_NOPE, keys, row, length, dkn * scale, D_NOPE, T_NOPE)
    row = HEADS * D_ROPE
    store_tile(dk_rope + begin * row + head * D_ROPE, keys, row, length, dkr * scale, D_ROPE, T_ROPE)
    row = HEADS * D_V
    store_tile(dv + begin * row + head * D_V, keys, row, length, dvs, D_V, T_V)


@triton.jit
def _query_kernel(
    q_nope, q_rope, k_nope, k_rope, v, grad_out, lse, delta, dq_nope, dq_rope, cu_seqlens, scale, scale_log2, total,
    stride_qn, head_qn, stride_qr, head_qr, stride_kn, head_kn, stride_kr, stride_v, head_v, stride_o, head_o,
    HEADS, D_NOPE: tl.constexpr, D_ROPE: tl.constexpr, D_V: tl.constexpr,
    T_NOPE: tl.constexpr, T_ROPE: tl.constexpr, T_V: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    head, segment = tl.program_id(1), tl.program_id(2)
    begin = tl.load(cu_seqlens + segment).to(tl.int64)
    length = (tl.load(cu_seqlens + segment + 1) - begin).to(tl.int32)
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_Q
    if first >= length:
        return
    rows = first + tl.arange(0, BLOCK_Q)
    qn = load_tile(q_nope + begin * stride_qn + head * head_qn, rows, stride_qn, length, D_NOPE, T_NOPE, True)
    qr = load_tile(q_rope + begin * stride_qr + head * head_qr, rows, stride_qr, length, D_ROPE, T_ROPE, True)
    grads = load_tile(grad_out + begin * stride_o + head * head_o, rows, stride_o, length, D_V, T_V, True)
    row_lse = tl.load(lse + head * total + begin + rows, mask=rows < length, other=0.0)
    row_delta = tl.load(delta + head * total + begin + rows, mask=rows < length, other=0.0)
    k_nope += begin * stride_kn + head * head_kn
    k_rope += begin * stride_kr
    v += begin * stride_v + head * head_v
    dqn = tl.zeros([BLOCK_Q, T_NOPE], tl.float32)
    dqr = tl.zeros([BLOCK_Q, T_ROPE], tl.float32)

    for k0 in range(0, min(first + BLOCK_Q, length), BLOCK_K):
        keys = k0 + tl.arange(0, BLOCK_K)
        kn = load_tile(k_nope, keys, stride_kn, length, D_NOPE, T_NOPE, True)
        kr = load_tile(k_rope, keys, stride_kr, length, D_ROPE, T_ROPE, True)
        scores = dot(qn, kn.T, INTERPRET) + dot(qr, kr.T, INTERPRET)
        weights = tl.exp2(scores * scale_log2 - row_lse[:, None])
        if k0 + BLOCK_K > first:
            weights = tl.where(rows[:, None] >= keys[None, :], weights, 0.0)
        dp = dot(grads, load_tile(v, keys, stride_v, length, D_V, T_V, True).T, INTERPRET)
        ds = (weights * (dp - row_delta[:, None])).to(kn.dtype)
        dqn += dot(ds, kn, INTERPRET)
        dqr += dot(ds, kr, INTERPRET)

    row = HEADS * D_NOPE
    store_tile(dq_nope + begin * row + head * D_NOPE, rows, row, length, dqn * scale, D_NOPE, T_NOPE)
    row = HEADS * D_ROPE
    store_tile(dq_rope + begin * row + head * D_ROPE, rows, row, length, dqr * scale, D_ROPE, T_ROPE)


def _configs(q: torch.Tensor) -> tuple[dict[str, int], dict[str, int]]:
    """Tile sizes of the key-value kernel (320 accumulator columns: larger tiles spill) and of the query kernel."""
    if INTERPRET:
        return {"BLOCK_Q": 32, "BLOCK_K": 64}, {"BLOCK_Q": 64, "BLOCK_K": 32}
    if q.dtype == torch.float32:
        small = {"BLOCK_Q": 32, "BLOCK_K": 32, "num_warps": 4, "num_stages": 1}
        return small, small
    return (
        {"BLOCK_Q": 32, "BLOCK_K": 64, "num_warps": 4, "num_stages": 2},
        {"BLOCK_Q": 128, "BLOCK_K": 64, "num_warps": 8, "num_stages": 3},
    )


def mla_attention_backward(
    grad_out: torch.Tensor,
    q_nope: torch.Tensor,
    q_rope: torch.Tensor,
    k_nope: torch.Tensor,
    k_rope: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,
    lse: torch.Tensor,
    cu_seqlens: torch.Tensor,
    max_seqlen: int,
    scale: float,
) -> tuple[torch.Tensor, ...]:
    """Gradients (dq_nope, dq_rope, dk_nope, dk_rope, dv) of `mla_attention`, shaped like the inputs and contiguous.

    `out` (T, H, dv) and `lse` (H, T, base 2) come from the forward pass. Cost: 2.6 times the forward FLOPs if every
    product is counted once; 3.6 times with the scores and dP that the query kernel computes again.
    """
    total, heads, d_nope = q_nope.shape
    d_rope, d_v = q_rope.shape[-1], v.shape[-1]
    dq_nope, dk_nope, dv = (torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in (q_nope, k_nope, v))
    dq_rope = torch.zeros(q_rope.shape, dtype=q_rope.dtype, device=q_rope.device)
    dk_rope_heads = torch.zeros(total, heads, d_rope, dtype=torch.float32, device=v.device)
    segments = cu_seqlens.numel() - 1
    if total > 0 and segments > 0 and max_seqlen > 0:
        grad_out = grad_out.contiguous()
        delta = row_dot(grad_out, out)
        inputs = (q_nope, q_rope, k_nope, k_rope, v, grad_out, lse, delta)
        strides = (*q_nope.stride()[:2], *q_rope.stride()[:2], *k_nope.stride()[:2], k_rope.stride(0))
        strides += (*v.stride()[:2], *grad_out.stride()[:2])
        numbers = (cu_seqlens, scale, scale * LOG2_E, total, *strides, heads, d_nope, d_rope, d_v)
        tiles = (tile_width(d_nope), tile_width(d_rope), tile_width(d_v))
        for_keys, for_queries = _configs(q_nope)
        grid = (triton.cdiv(max_seqlen, for_keys["BLOCK_K"]), heads, segments)
        _key_value_kernel[grid](*inputs, dk_nope, dk_rope_heads, dv, *numbers, *tiles, INTERPRET=INTERPRET, **for_keys)
        grid = (triton.cdiv(max_seqlen, for_queries["BLOCK_Q"]), heads, segments)
        _query_kernel[grid](*inputs, dq_nope, dq_rope, *numbers, *tiles, INTERPRET=INTERPRET, **for_queries)
    return dq_nope, dq_rope, dk_nope, dk_rope_heads.sum(1).to(k_rope.dtype), dv
