"""Backward pass of MoonViT attention: the two kernels of `mla_attention_backward`, without a mask and in 64 + 8
channels (lesson 16).

Keys and queries are symmetric here but for the softmax, so both kernels have one shape: a program keeps BLOCK rows of
its own side in registers, walks all tiles of the other side within the image, and writes its gradient once. Rows past
the end of an image read zeros and their weight is zeroed, so no partial tile needs a path of its own.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..common import INTERPRET
from ..tiles import LOG2_E, dot, load_tile, row_dot, store_tile
from .rotary import rotate_gradients_back, rotate_queries_and_keys


@triton.jit
def _key_value_kernel(
    q, k, v, grad_out, lse, delta, dk, dv, cu_seqlens, scale, scale_log2, total, stride_qk, stride_v, stride_o,
    D: tl.constexpr, MAIN: tl.constexpr, T_MAIN: tl.constexpr, T_REST: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    head, image = tl.program_id(1), tl.program_id(2)
    begin = tl.load(cu_seqlens + image).to(tl.int64)
    length = (tl.load(cu_seqlens + image + 1) - begin).to(tl.int32)
    first = tl.program_id(0) * BLOCK_K
    if first >= length:
        return
    keys = first + tl.arange(0, BLOCK_K)
    q += begin * stride_qk + head * D
    k += begin * stride_qk + head * D
    v += begin * stride_v + head * D
    grad_out += begin * stride_o + head * D
    lse += head * total + begin
    delta += head * total + begin
    k_main = load_tile(k, keys, stride_qk, length, MAIN, T_MAIN, True)
    v_main = load_tile(v, keys, stride_v, length, MAIN, T_MAIN, True)
    dk_main = tl.zeros([BLOCK_K, T_MAIN], tl.float32)
    dv_main = tl.zeros([BLOCK_K, T_MAIN], tl.float32)
    if T_REST > 0:
        k_rest = load_tile(k + MAIN, keys, stride_qk, length, D - MAIN, T_REST, True)
        v_rest = load_tile(v + MAIN, keys, stride_v, length, D - MAIN, T_REST, True)
        dk_rest = tl.zeros([BLOCK_K, T_REST], tl.float32)
        dv_rest = tl.zeros([BLOCK_K, T_REST], tl.float32)

    for q0 in range(0, length, BLOCK_Q):
        rows = q0 + tl.arange(0, BLOCK_Q)
        q_main = load_tile(q, rows, stride_qk, length, MAIN, T_MAIN, True)
        g_main = load_tile(grad_out, rows, stride_o, length, MAIN, T_MAIN, True)
        scores = dot(k_main, q_main.T, INTERPRET)
        dp = dot(v_main, g_main.T, INTERPRET)
        if T_REST > 0:
            q_rest = load_tile(q + MAIN, rows, stride_qk, length, D - MAIN, T_REST, True)
            g_rest = load_tile(grad_out + MAIN, rows, stride_o, length, D - MAIN, T_REST, True)
            scores += dot(k_rest, q_rest.T, INTERPRET)
            dp += dot(v_rest, g_rest.T, INTERPRET)
        # A row past the end has zero q, dO, lse and Δ: its weight is 1 but all that it multiplies is zero.
        row_lse = tl.load(lse + rows, mask=rows < length, other=0.0)
        row_delta = tl.load(delta + rows, mask=rows < length, other=0.0)
        weights = tl.exp2(scores * scale_log2 - row_lse[None, :])
        ds = (weights * (dp - row_delta[None, :])).to(q_main.dtype)
        weights = weights.to(q_main.dtype)
        dv_main += dot(weights, g_main, INTERPRET)
        dk_main += dot(ds, q_main, INTERPRET)
        if T_REST > 0:
            dv_rest += dot(weights, g_rest, INTERPRET)
            dk_rest += dot(ds, q_rest, INTERPRET)

    dk += begin * stride_v + head * D
    dv += begin * stride_v + head * D
    store_tile(dk, keys, stride_v, length, dk_main * scale, MAIN, T_MAIN)
    store_tile(dv, keys, stride_v, length, dv_main, MAIN, T_MAIN)
    if T_REST > 0:
        store_tile(dk + MAIN, keys, stride_v, length, dk_rest * scale, D - MAIN, T_REST)
        store_tile(dv + MAIN, keys, stride_v, length, dv_rest, D - MAIN, T_REST)


@triton.jit
def _query_kernel(
    q, k, v, grad_out, lse, delta, dq, cu_seqlens, scale, scale_log2, total, stride_qk, stride_v, stride_o,
    D: tl.constexpr, MAIN: tl.constexpr, T_MAIN: tl.constexpr, T_REST: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    head, image = tl.program_id(1), tl.program_id(2)
    begin = tl.load(cu_seqlens + image).to(tl.int64)
    length = (tl.load(cu_seqlens + image + 1) - begin).to(tl.int32)
    first = tl.program_id(0) * BLOCK_Q
    if first >= length:
        return
    rows = first + tl.arange(0, BLOCK_Q)
    q += begin * stride_qk + head * D
    k += begin * stride_qk + head * D
    v += begin * stride_v + head * D
    grad_out += begin * stride_o + head * D
    q_main = load_tile(q, rows, stride_qk, length, MAIN, T_MAIN, True)
    g_main = load_tile(grad_out, rows, stride_o, length, MAIN, T_MAIN, True)
    row_lse = tl.load(lse + head * total + begin + rows, mask=rows < length, other=0.0)
    row_delta = tl.load(delta + head * total + begin + rows, mask=rows < length, other=0.0)
    dq_main = tl.zeros([BLOCK_Q, T_MAIN], tl.float32)
    if T_REST > 0:
        q_rest = load_tile(q + MAIN, rows, stride_qk, length, D - MAIN, T_REST, True)
        g_rest = load_tile(grad_out + MAIN, rows, stride_o, length, D - MAIN, T_REST, True)
        dq_rest = tl.zeros([BLOCK_Q, T_REST], tl.float32)

    for k0 in range(0, length, BLOCK_K):
        keys = k0 + tl.arange(0, BLOCK_K)
        k_main = load_tile(k, keys, stride_qk, length, MAIN, T_MAIN, True)
        scores = dot(q_main, k_main.T, INTERPRET)
        dp = dot(g_main, load_tile(v, keys, stride_v, length, MAIN, T_MAIN, True).T, INTERPRET)
        if T_REST > 0:
            k_rest = load_tile(k + MAIN, keys, stride_qk, length, D - MAIN, T_REST, True)
            scores += dot(q_rest, k_rest.T, INTERPRET)
            dp += dot(g_rest, load_tile(v + MAIN, keys, stride_v, length, D - MAIN, T_REST, True).T, INTERPRET)
        weights = tl.exp2(scores * scale_log2 - row_lse[:, None])
        # A key past the end is zero, but its weight is not, and 2^-lse may overflow: 0 · inf would be NaN.
        weights = tl.where(keys[None, :] < length, weights, 0.0)
        ds = (weights * (dp - row_delta[:, None])).to(k_main.dtype)
        dq_main += dot(ds, k_main, INTERPRET)
        if T_REST > 0:
            dq_rest += dot(ds, k_rest, INTERPRET)

    dq += begin * stride_v + head * D
    store_tile(dq, rows, stride_v, length, dq_main * scale, MAIN, T_MAIN)
    if T_REST > 0:
        store_tile(dq + MAIN, rows, stride_v, length, dq_rest * scale, D - MAIN, T_REST)


def _configs(q: torch.Tensor) -> tuple[dict[str, int], dict[str, int]]:
    """Tile sizes of the key-value kernel and of the query kernel, by measurement on Hopper."""
    if INTERPRET:
        return {"BLOCK_Q": 64, "BLOCK_K": 64}, {"BLOCK_Q": 64, "BLOCK_K": 64}
    if q.dtype == torch.float32:
        small = {"BLOCK_Q": 32, "BLOCK_K": 32, "num_warps": 4, "num_stages": 1}
        return small, small
    return (
        {"BLOCK_Q": 128, "BLOCK_K": 64, "num_warps": 4, "num_stages": 2},
        {"BLOCK_Q": 64, "BLOCK_K": 64, "num_warps": 4, "num_stages": 3},
    )


def vision_attention_backward(
    grad_out: torch.Tensor,
    qkv: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    cu_seqlens: torch.Tensor,
    out: torch.Tensor,
    lse: torch.Tensor,
    max_seqlen: int,
    split: tuple[int, int, int],
) -> torch.Tensor:
    """The gradient (P, 3, H, d) of `vision_attention`; `split` is the (channels, tile, tile) that `split_width` gives.

    q and k are rotated again instead of kept: 2·P·H·d elements a layer would otherwise stay in memory through the whole
    tower. Cost: 3.5 times the forward FLOPs, of which the repeated scores and dP are 1.0; no atomic additions.
    """
    total, _, heads, width = qkv.shape
    grad_qkv = torch.zeros_like(qkv)
    images = cu_seqlens.numel() - 1
    if total == 0 or images == 0 or max_seqlen == 0:
        return grad_qkv
    grad_out = grad_out.contiguous()
    q, k = rotate_queries_and_keys(qkv, cos, sin).unbind(1)
    inputs = (q, k, qkv[:, 2], grad_out, lse, row_dot(grad_out, out))
    dq, dk, dv = grad_qkv.unbind(1)
    scale = width**-0.5
    numbers = (cu_seqlens, scale, scale * LOG2_E, total, q.stride(0), qkv.stride(0), grad_out.stride(0), width, *split)
    for_keys, for_queries = _configs(qkv)
    grid = (triton.cdiv(max_seqlen, for_keys["BLOCK_K"]), heads, images)
    _key_value_kernel[grid](*inputs, dk, dv, *numbers, INTERPRET=INTERPRET, **for_keys)
    grid = (triton.cdiv(max_seqlen, for_queries["BLOCK_Q"]), heads, images)
    _query_kernel[grid](*inputs, dq, *numbers, INTERPRET=INTERPRET, **for_queries)
    rotate_gradients_back(grad_qkv, cos, sin)
    return grad_qkv
