"""MoonViT attention: packed images, no causal mask, heads 72 wide, 2-D rotary embedding built in.

MoonViT (Kimi-VL report, arXiv 2504.07491, section 2.1) lays the patches of all images in one sequence and lets each
image attend only to itself. Its head width of 72 suits no tile: padded to the next power of two a dot does 128/72 =
1.78 times the needed work. Here every head is two parts, 64 and 8 padded to 16, so 80/72 = 1.11 times:

    channels   [ ........ 64 ........ | 8 |pad]
    scores   = q_main · k_mainᵀ + q_rest · k_restᵀ        out = [ weights · v_main | weights · v_rest ]

The rotation of q and k runs once before the attention, not inside its loop: each key tile is visited by every query
tile of its image and would be rotated 32 times in a 4096-patch image. Both steps sit in one autograd function, so the
rotated copy lives only as long as the call. The attention kernels are those of `attention.packed` (lessons 01, 02, 03
and 16).
"""

from __future__ import annotations

import itertools

import torch
from einops import einsum, rearrange

from ..attention.packed import Blocks, Kind, attend, choose_blocks, launch
from ..attention.packed_backward import attend_backward, row_dot
from ..tiles import tile_width
from .rotary import rotate_gradients_back, rotate_queries_and_keys

BLOCKS = Blocks(
    forward=launch(128, 64, warps=8, stages=4),
    key_value=launch(128, 64, warps=4, stages=2),
    query=launch(64, 64, warps=4, stages=3),
)


def vision_attention_reference(
    qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, cu_seqlens: torch.Tensor
) -> torch.Tensor:
    """`vision_attention` in plain torch, one image after another, in the dtype of the inputs (float64 for tests)."""
    angles = rearrange(torch.complex(cos, sin), "patch pair -> patch 1 1 pair")  # the same for q, k and all heads
    pairs = rearrange(qkv[:, :2], "patch qk head (pair two) -> patch qk head pair two", two=2)
    rotated = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * angles)
    q, k = rearrange(rotated, "patch qk head pair two -> qk patch head (pair two)")
    out = torch.empty_like(q)
    for start, end in itertools.pairwise(cu_seqlens.tolist()):
        one = slice(start, end)
        scores = einsum(q[one], k[one], "query head d, key head d -> head query key") * q.shape[-1] ** -0.5
        out[one] = einsum(scores.softmax(-1), qkv[one, 2], "head query key, key head d -> query head d")
    return out


def split_width(width: int) -> tuple[int, ...]:
    """The widths of a head's parts: the largest power of two below `width` and what is left over.

    72 → (64, 8). Where two dots would not be cheaper than one padded dot (8, 15, 64, 120), one part with all channels.
    """
    main = max(16, tile_width(width) // 2)
    if width <= main or main + tile_width(width - main) >= tile_width(width):
        return (width,)
    return main, width - main


def _kind(width: int) -> Kind:
    return Kind(split_width(width), split_width(width), causal=False)


class _VisionAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv, cos, sin, cu_seqlens, max_seqlen):
        patches, _, num_heads, width = qkv.shape
        out = qkv.new_empty(patches, num_heads, width)
        q, k = rotate_queries_and_keys(qkv, cos, sin).unbind(1)
        tensors = ((q,), (k,), (qkv[:, 2],), (out,))
        config = choose_blocks(BLOCKS, qkv).forward
        lse = attend(*tensors, cu_seqlens, max_seqlen, width**-0.5, _kind(width), config)
        ctx.save_for_backward(qkv, cos, sin, cu_seqlens, out, lse)
        ctx.max_seqlen = max_seqlen
        return out

    @staticmethod
    def backward(ctx, grad_out):
        """q and k are rotated again instead of kept: 2·P·H·d elements a layer would stay through the whole tower."""
        qkv, cos, sin, cu_seqlens, out, lse = ctx.saved_tensors
        width = qkv.shape[-1]
        grad_out, grad_qkv = grad_out.contiguous(), torch.zeros_like(qkv)
        q, k = rotate_queries_and_keys(qkv, cos, sin).unbind(1)
        dq, dk, dv = grad_qkv.unbind(1)
        attend_backward(
            ((q,), (k,), (qkv[:, 2],), (grad_out,)), ((dq,), (dk,), (dv,)), lse, row_dot(grad_out, out), cu_seqlens,
            ctx.max_seqlen, width**-0.5, _kind(width), choose_blocks(BLOCKS, qkv),
        )  # fmt: skip
        rotate_gradients_back(grad_qkv, cos, sin)
        return grad_qkv, None, None, None, None


def vision_attention(
    qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, cu_seqlens: torch.Tensor, max_seqlen: int
) -> torch.Tensor:
    """Attention of every patch to all patches of its own image, with 2-D rotary embedding; differentiable in `qkv`.

    Args:
        qkv: (P, 3, H, d) output of the fused projection, P patches of all images together.
        cos, sin: (P, d/2) float32 of the rotation angles, one for each adjacent channel pair (x_2m, x_2m+1).
        cu_seqlens: (N+1,) int32, 0 first and P last: where each image begins.
        max_seqlen: patches of the largest image. A smaller number leaves rows unwritten.

    Returns:
        (P, H, d) in the dtype of `qkv`; the scores are scaled by d^-1/2.

    Raises:
        ValueError: `qkv` or the angles have the wrong shape.

    Cost of the forward pass: 4·H·d·Σ n² FLOPs over images of n patches (padding adds 11 % at d = 72); 4·P·H·d elements
    moved by the attention and 4·P·H·d by the rotation. The backward pass takes 3.5 times the FLOPs.
    """
    if qkv.dim() != 4 or qkv.shape[1] != 3 or qkv.shape[3] % 2:
        raise ValueError(f"vision_attention: qkv must be (P, 3, H, even d), got {tuple(qkv.shape)}")
    expected = (qkv.shape[0], qkv.shape[3] // 2)
    if cos.shape != expected or sin.shape != expected:
        raise ValueError(f"vision_attention: cos {tuple(cos.shape)} and sin {tuple(sin.shape)} must both be {expected}")
    return _VisionAttention.apply(qkv.contiguous(), cos.contiguous(), sin.contiguous(), cu_seqlens, max_seqlen)
