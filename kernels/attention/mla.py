"""MLA attention for training and prefill: causal, packed, 192-wide keys and 128-wide values (lessons 05 and 16).

Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434; the language model of Kimi-VL, arXiv 2504.07491) scores a
query against a key made of two parts: 128 channels of the head's own and 64 rotary channels that all heads share.
Libraries want one key per head and values as wide as keys, so they copy the shared part 16 times and pad the values by
half. Here a score is simply two dots,

    scores = q_nope · k_nopeᵀ + q_rope · k_ropeᵀ          (BLOCK_Q x BLOCK_K, summed in fp32)

and the values stay 128 wide: 320 multiply-adds a (query, key) pair instead of 384. The kernels are those of `packed`.
"""

from __future__ import annotations

import itertools

import torch
from einops import einsum

from .packed import Blocks, Kind, attend, choose_blocks, launch
from .packed_backward import attend_backward, row_dot

BLOCKS = Blocks(
    forward=launch(128, 64, warps=8, stages=3),  # just fits the registers
    key_value=launch(32, 64, warps=4, stages=2),  # 320 accumulator columns: larger tiles spill
    query=launch(128, 64, warps=8, stages=3),
)


def mla_attention_reference(
    q_nope: torch.Tensor,
    q_rope: torch.Tensor,
    k_nope: torch.Tensor,
    k_rope: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """`mla_attention` in plain torch, one segment after another, in the dtype of the inputs (float64 for tests)."""
    out = torch.empty_like(v)
    for start, end in itertools.pairwise(cu_seqlens.tolist()):
        one = slice(start, end)
        scores = einsum(q_nope[one], k_nope[one], "query head d, key head d -> head query key")
        scores = scores + einsum(q_rope[one], k_rope[one], "query head d, key d -> head query key")
        future = torch.ones_like(scores[0], dtype=torch.bool).triu(1)
        weights = (scores * scale).masked_fill(future, float("-inf")).softmax(-1)
        out[one] = einsum(weights, v[one], "head query key, key head d -> query head d")
    return out


def _kind(q_nope: torch.Tensor, q_rope: torch.Tensor, v: torch.Tensor) -> Kind:
    return Kind((q_nope.shape[-1], q_rope.shape[-1]), (v.shape[-1],), causal=True)


class _MLAAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, q_nope, q_rope, k_nope, k_rope, v, cu_seqlens, max_seqlen, scale):
        out = v.new_empty(v.shape)
        tensors, kind = ((q_nope, q_rope), (k_nope, k_rope), (v,), (out,)), _kind(q_nope, q_rope, v)
        lse = attend(*tensors, cu_seqlens, max_seqlen, scale, kind, choose_blocks(BLOCKS, v).forward)
        ctx.save_for_backward(q_nope, q_rope, k_nope, k_rope, v, out, lse, cu_seqlens)
        ctx.max_seqlen, ctx.scale = max_seqlen, scale
        return out

    @staticmethod
    def backward(ctx, grad_out):
        *inputs, out, lse, cu_seqlens = ctx.saved_tensors
        q_nope, q_rope, k_nope, k_rope, v = inputs
        grad_out = grad_out.contiguous()
        # zeros: rows that no segment holds have no gradient
        dq_nope, dq_rope, dk_nope, dv = (x.new_zeros(x.shape) for x in (q_nope, q_rope, k_nope, v))
        # Every head writes its own gradient of the shared key and a sum follows: no atomic additions, the same bits.
        dk_rope = torch.zeros(q_rope.shape, dtype=torch.float32, device=v.device)
        attend_backward(
            ((q_nope, q_rope), (k_nope, k_rope), (v,), (grad_out,)), ((dq_nope, dq_rope), (dk_nope, dk_rope), (dv,)),
            lse, row_dot(grad_out, out), cu_seqlens, ctx.max_seqlen, ctx.scale,
            _kind(q_nope, q_rope, v), choose_blocks(BLOCKS, v),
        )  # fmt: skip
        return dq_nope, dq_rope, dk_nope, dk_rope.sum(1).to(k_rope.dtype), dv, None, None, None


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
    *every_head, d_nope = q_nope.shape
    d_rope = q_rope.shape[-1]
    expected = [(*every_head, d_rope), (*every_head, d_nope), (every_head[0], d_rope), (*every_head, v.shape[-1])]
    found = [tuple(x.shape) for x in (q_rope, k_nope, k_rope, v)]
    if found != expected:
        raise ValueError(
            f"mla_attention: q_rope, k_nope, k_rope, v have shapes {found}; q_nope and widths ask for {expected}"
        )
    inputs = [x if x.stride(-1) == 1 else x.contiguous() for x in (q_nope, q_rope, k_nope, k_rope, v)]
    return _MLAAttention.apply(*inputs, cu_seqlens, max_seqlen, scale)
