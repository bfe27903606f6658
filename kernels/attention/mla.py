"""MLA attention for training and prefill: causal, packed, 192-wide keys and 128-wide values (lessons 05 and 16).

Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434; the language model of Kimi-VL, arXiv 2504.07491) scores a
query against a key made of two parts: 128 channels of the head's own and 64 rotary channels that all heads share.
Libraries want one key per head and values as wide as keys, so they copy the shared part 16 times and pad the values by
half. Here a score is simply two dots,

    scores = q_nope · k_nopeᵀ + q_rope · k_ropeᵀ          (BLOCK_Q x BLOCK_K, summed in fp32)

and the values stay 128 wide: 320 multiply-adds a (query, key) pair instead of 384. Sequences are packed without
padding: `cu_seqlens` says where each begins, and one program handles BLOCK_Q queries of one head of one sequence.

    keys →    0 ........ first ..... first+BLOCK_Q
    queries   [ full ][ full ][ full ][◣ diagonal ]        full tiles need no mask and no bounds check
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..common import INTERPRET
from ..tiles import LOG2_E, dot, load_tile, softmax_step, store_tile, tile_width
from .mla_backward import mla_attention_backward


def mla_attention_reference(
    q_nope: torch.Tensor,
    q_rope: torch.Tensor,
    k_nope: torch.Tensor,
    k_rope: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """The same function in plain torch, one segment after another, in the dtype of the inputs (float64 for tests)."""
    out = v.new_zeros(v.shape)
    for start, end in zip(cu_seqlens.tolist()[:-1], cu_seqlens.tolist()[1:], strict=True):
        scores = torch.einsum("qhd,khd->hqk", q_nope[start:end], k_nope[start:end])
        scores = scores + torch.einsum("qhd,kd->hqk", q_rope[start:end], k_rope[start:end])
        future = torch.ones(end - start, end - start, dtype=torch.bool, device=v.device).triu(1)
        weights = (scores * scale).masked_fill(future, float("-inf")).softmax(-1)
        out[start:end] = torch.einsum("hqk,khd->qhd", weights, v[start:end])
    return out


@triton.jit
def _forward_kernel(
    q_nope, q_rope, k_nope, k_rope, v, out, lse, cu_seqlens, scale_log2, total,
    stride_qn, head_qn, stride_qr, head_qr, stride_kn, head_kn, stride_kr, stride_v, head_v, stride_o, head_o,
    D_NOPE: tl.constexpr, D_ROPE: tl.constexpr, D_V: tl.constexpr,
    T_NOPE: tl.constexpr, T_ROPE: tl.constexpr, T_V: tl.constexpr,
    BLOCK_Q: tl.constexpr, BLOCK_K: tl.constexpr, INTERPRET: tl.constexpr,
):  # fmt: skip
    head, segment = tl.program_id(1), tl.program_id(2)
    begin = tl.load(cu_seqlens + segment).to(tl.int64)
    length = (tl.load(cu_seqlens + segment + 1) - begin).to(tl.int32)
    # The last queries see the most keys: starting them first leaves short programs to fill the gaps at the end.
    first = (tl.num_programs(0) - 1 - tl.program_id(0)) * BLOCK_Q
    if first >= length:
        return
    rows = first + tl.arange(0, BLOCK_Q)
    qn = load_tile(q_nope + begin * stride_qn + head * head_qn, rows, stride_qn, length, D_NOPE, T_NOPE, True)
    qr = load_tile(q_rope + begin * stride_qr + head * head_qr, rows, stride_qr, length, D_ROPE, T_ROPE, True)
    k_nope += begin * stride_kn + head * head_kn
    k_rope += begin * stride_kr
    v += begin * stride_v + head * head_v
    peak = tl.full([BLOCK_Q], float("-inf"), tl.float32)
    weight_sum = tl.zeros([BLOCK_Q], tl.float32)
    acc = tl.zeros([BLOCK_Q, T_V], tl.float32)

    for k0 in range(0, first, BLOCK_K):  # tiles that lie wholly in the past
        keys = k0 + tl.arange(0, BLOCK_K)
        scores = dot(qn, load_tile(k_nope, keys, stride_kn, length, D_NOPE, T_NOPE, False).T, INTERPRET)
        scores += dot(qr, load_tile(k_rope, keys, stride_kr, length, D_ROPE, T_ROPE, False).T, INTERPRET)
        weights, peak, weight_sum, shrink = softmax_step(scores, scale_log2, peak, weight_sum)
        values = load_tile(v, keys, stride_v, length, D_V, T_V, False)
        acc = acc * shrink[:, None] + dot(weights.to(values.dtype), values, INTERPRET)

    for k0 in range(first, min(first + BLOCK_Q, length), BLOCK_K):  # the diagonal: mask the future
        keys = k0 + tl.arange(0, BLOCK_K)
        scores = dot(qn, load_tile(k_nope, keys, stride_kn, length, D_NOPE, T_NOPE, True).T, INTERPRET)
        scores += dot(qr, load_tile(k_rope, keys, stride_kr, length, D_ROPE, T_ROPE, True).T, INTERPRET)
        scores = tl.where(rows[:, None] >= keys[None, :], scores, float("-inf"))
        weights, peak, weight_sum, shrink = softmax_step(scores, scale_log2, peak, weight_sum)
        values = load_tile(v, keys, stride_v, length, D_V, T_V, True)
        acc = acc * shrink[:, None] + dot(weights.to(values.dtype), values, INTERPRET)

    store_tile(out + begin * stride_o + head * head_o, rows, stride_o, length, acc / weight_sum[:, None], D_V, T_V)
    tl.store(lse + head * total + begin + rows, peak + tl.log2(weight_sum), mask=rows < length)


def _forward_config(q: torch.Tensor) -> dict[str, int]:
    """Tile sizes by measurement on Hopper: 128 x 64 with three stages just fits the registers."""
    if INTERPRET:
        return {"BLOCK_Q": 64, "BLOCK_K": 32}
    if q.dtype == torch.float32:  # four times the bytes of a bf16 multiply: smaller tiles fit the shared memory
        return {"BLOCK_Q": 64, "BLOCK_K": 32, "num_warps": 4, "num_stages": 2}
    return {"BLOCK_Q": 128, "BLOCK_K": 64, "num_warps": 8, "num_stages": 3}


def _forward(q_nope, q_rope, k_nope, k_rope, v, cu_seqlens, max_seqlen: int, scale: float):
    """Launch the forward kernel: the output (T, H, dv) and the base-2 log of each row's softmax sum (H, T)."""
    total, heads, d_nope = q_nope.shape
    d_rope, d_v = q_rope.shape[-1], v.shape[-1]
    out = torch.empty(total, heads, d_v, dtype=v.dtype, device=v.device)
    lse = torch.empty(heads, total, dtype=torch.float32, device=v.device)
    config = _forward_config(q_nope)
    grid = (triton.cdiv(max_seqlen, config["BLOCK_Q"]), heads, cu_seqlens.numel() - 1)
    if total > 0 and min(grid) > 0:
        _forward_kernel[grid](
            q_nope, q_rope, k_nope, k_rope, v, out, lse, cu_seqlens, scale * LOG2_E, total,
            *q_nope.stride()[:2], *q_rope.stride()[:2], *k_nope.stride()[:2], k_rope.stride(0), *v.stride()[:2],
            *out.stride()[:2],
            D_NOPE=d_nope, D_ROPE=d_rope, D_V=d_v,
            T_NOPE=tile_width(d_nope), T_ROPE=tile_width(d_rope), T_V=tile_width(d_v),
            INTERPRET=INTERPRET, **config,
        )  # fmt: skip
    return out, lse


class _MLAAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q_nope, q_rope, k_nope, k_rope, v, cu_seqlens, max_seqlen, scale):
        out, lse = _forward(q_nope, q_rope, k_nope, k_rope, v, cu_seqlens, max_seqlen, scale)
        ctx.save_for_backward(q_nope, q_rope, k_nope, k_rope, v, out, lse, cu_seqlens)
        ctx.max_seqlen, ctx.scale = max_seqlen, scale
        return out

    @staticmethod
    def backward(ctx, grad_out):
        grads = mla_attention_backward(grad_out, *ctx.saved_tensors, ctx.max_seqlen, ctx.scale)
        return *grads, None, None, None


def mla_attention(
    q_nope: torch.Tensor,
    q_rope: torch.Tensor,
    k_nope: torch.Tensor,
    k_rope: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens: torch.Tensor,
    max_seqlen: int,
    scale: float,
) -> torch.Tensor:
    """Causal attention of packed sequences with the rotary key shared by all heads; differentiable.

    Args:
        q_nope: (T, H, dn) queries without position. Any of the inputs may be a slice of a wider tensor.
        q_rope: (T, H, dr) queries after rotary embedding.
        k_nope: (T, H, dn) keys without position.
        k_rope: (T, dr) rotated keys, one for all heads.
        v: (T, H, dv) values.
        cu_seqlens: (S+1,) int32, 0 first and T last: where each sequence begins. Sequences may be empty.
        max_seqlen: length of the longest sequence, in positions. A smaller number leaves rows unwritten.
        scale: factor on the scores, (dn + dr)^-1/2 in Kimi-VL.

    Returns:
        (T, H, dv) in the dtype of `v`. The backward pass is deterministic: no atomic additions.

    Raises:
        ValueError: shapes that do not fit together.

    Cost of the forward pass: H·Σ n²·(dn + dr + dv) FLOPs over sequences of n positions (2 per multiply-add, half of the
    square), and T·H·(2·dn + dr + 2·dv) elements moved at least; the backward needs 2.6 times the FLOPs.
    """
    total, heads, d_nope = q_nope.shape
    d_rope = q_rope.shape[-1]
    expected = [(total, heads, d_rope), (total, heads, d_nope), (total, d_rope), (total, heads, v.shape[-1])]
    found = [tuple(x.shape) for x in (q_rope, k_nope, k_rope, v)]
    if found != expected:
        raise ValueError(
            f"mla_attention: q_rope, k_nope, k_rope, v have shapes {found}; q_nope and widths ask for {expected}"
        )
    inputs = [x if x.stride(-1) == 1 else x.contiguous() for x in (q_nope, q_rope, k_nope, k_rope, v)]
    return _MLAAttention.apply(*inputs, cu_seqlens, max_seqlen, scale)
