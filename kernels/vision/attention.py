"""MoonViT attention: packed images, no causal mask, heads 72 wide, 2-D rotary embedding built in (lessons 01, 02, 03
and 16).

MoonViT (Kimi-VL report, arXiv 2504.07491, section 2.1) lays the patches of all images in one sequence and lets each
image attend only to itself. Its head width of 72 suits no tile: padded to the next power of two a dot does 128/72 =
1.78 times the needed work. Here every product over the width is two dots, 64 and 8 padded to 16, so 80/72 = 1.11 times:

    channels   [ ........ 64 ........ | 8 |pad]
    scores   = q_main · k_mainᵀ + q_rest · k_restᵀ        out = [ weights · v_main | weights · v_rest ]

The rotation of q and k runs once before the attention, not inside its loop: each key tile is visited by every query
tile of its image and would be rotated 32 times in a 4096-patch image. Both steps sit in one autograd function, so the
rotated copy lives only as long as the call.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..common import INTERPRET
from ..tiles import LOG2_E, dot, load_tile, softmax_step, store_tile, tile_width
from .attention_backward import vision_attention_backward
from .rotary import rotate_queries_and_keys


def vision_attention_reference(
    qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, cu_seqlens: torch.Tensor
) -> torch.Tensor:
    """The same function in plain torch, one image after another, in the dtype of the inputs (float64 for tests)."""
    angles = torch.complex(cos, sin)[:, None, None, :]  # the same for q, k and all heads
    pairs = torch.view_as_complex(qkv[:, :2].unflatten(-1, (-1, 2)).contiguous())
    q, k = torch.view_as_real(pairs * angles).flatten(-2).unbind(1)
    out = torch.empty_like(q)
    for start, end in zip(cu_seqlens.tolist()[:-1], cu_seqlens.tolist()[1:], strict=True):
        scores = torch.einsum("qhd,khd->hqk", q[start:end], k[start:end]) * q.shape[-1] ** -0.5
        out[start:end] = torch.einsum("hqk,khd->qhd", scores.softmax(-1), qkv[start:end, 2])
    return out


def split_width(width: int) -> tuple[int, int, int]:
    """(channels of the first dot, its tile, tile of the second dot): the largest power of two and what is left over.

    72 → (64, 64, 16). Where two dots would not be cheaper than one padded dot (8, 15, 64, 120), all channels go to the
    first.
    """
    whole = tile_width(width)
    main = max(16, whole // 2)
    if width <= main or main + tile_width(width - main) >= whole:
        return width, whole, 0
    return main, main, tile_width(width - main)


@triton.jit
def _forward_kernel(
    q, k, v, out, lse, cu_seqlens, scale_log2, total, stride_qk, stride_v, stride_o,
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
    out += begin * stride_o + head * D
    q_main = load_tile(q, rows, stride_qk, length, MAIN, T_MAIN, True)
    peak = tl.full([BLOCK_Q], float("-inf"), tl.float32)
    weight_sum = tl.zeros([BLOCK_Q], tl.float32)
    acc_main = tl.zeros([BLOCK_Q, T_MAIN], tl.float32)
    if T_REST > 0:
        q_rest = load_tile(q + MAIN, rows, stride_qk, length, D - MAIN, T_REST, True)
        acc_rest = tl.zeros([BLOCK_Q, T_REST], tl.float32)

    # Pass 0 walks the tiles that lie wholly inside the image, pass 1 the last, partial one with its mask.
    whole = length // BLOCK_K * BLOCK_K
    for partial in tl.static_range(2):
        for k0 in range(whole if partial else 0, length if partial else whole, BLOCK_K):
            keys = k0 + tl.arange(0, BLOCK_K)
            scores = dot(q_main, load_tile(k, keys, stride_qk, length, MAIN, T_MAIN, partial).T, INTERPRET)
            if T_REST > 0:
                scores += dot(
                    q_rest, load_tile(k + MAIN, keys, stride_qk, length, D - MAIN, T_REST, partial).T, INTERPRET
                )
            if partial:
                scores = tl.where(keys[None, :] < length, scores, float("-inf"))
            weights, peak, weight_sum, shrink = softmax_step(scores, scale_log2, peak, weight_sum)
            values = load_tile(v, keys, stride_v, length, MAIN, T_MAIN, partial)
            weights = weights.to(values.dtype)
            acc_main = acc_main * shrink[:, None] + dot(weights, values, INTERPRET)
            if T_REST > 0:
                values = load_tile(v + MAIN, keys, stride_v, length, D - MAIN, T_REST, partial)
                acc_rest = acc_rest * shrink[:, None] + dot(weights, values, INTERPRET)

    store_tile(out, rows, stride_o, length, acc_main / weight_sum[:, None], MAIN, T_MAIN)
    if T_REST > 0:
        store_tile(out + MAIN, rows, stride_o, length, acc_rest / weight_sum[:, None], D - MAIN, T_REST)
    tl.store(lse + head * total + begin + rows, peak + tl.log2(weight_sum), mask=rows < length)


def _forward_config(qkv: torch.Tensor) -> dict[str, int]:
    if INTERPRET:
        return {"BLOCK_Q": 64, "BLOCK_K": 64}
    if qkv.dtype == torch.float32:
        return {"BLOCK_Q": 64, "BLOCK_K": 32, "num_warps": 4, "num_stages": 2}
    return {"BLOCK_Q": 128, "BLOCK_K": 64, "num_warps": 8, "num_stages": 4}


def _forward(qkv, cos, sin, cu_seqlens, max_seqlen: int):
    """The output (P, H, d) and the base-2 log of each row's softmax sum (H, P)."""
    total, _, heads, width = qkv.shape
    out = torch.empty(total, heads, width, dtype=qkv.dtype, device=qkv.device)
    lse = torch.empty(heads, total, dtype=torch.float32, device=qkv.device)
    config = _forward_config(qkv)
    grid = (triton.cdiv(max_seqlen, config["BLOCK_Q"]), heads, cu_seqlens.numel() - 1)
    if total > 0 and min(grid) > 0:
        q, k = rotate_queries_and_keys(qkv, cos, sin).unbind(1)
        main, tile_main, tile_rest = split_width(width)
        _forward_kernel[grid](
            q, k, qkv[:, 2], out, lse, cu_seqlens, width**-0.5 * LOG2_E, total,
            q.stride(0), qkv.stride(0), out.stride(0),
            D=width, MAIN=main, T_MAIN=tile_main, T_REST=tile_rest, INTERPRET=INTERPRET, **config,
        )  # fmt: skip
    return out, lse


class _VisionAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, qkv, cos, sin, cu_seqlens, max_seqlen):
        out, lse = _forward(qkv, cos, sin, cu_seqlens, max_seqlen)
        ctx.save_for_backward(qkv, cos, sin, cu_seqlens, out, lse)
        ctx.max_seqlen = max_seqlen
        return out

    @staticmethod
    def backward(ctx, grad_out):
        split = split_width(grad_out.shape[-1])
        return vision_attention_backward(grad_out, *ctx.saved_tensors, ctx.max_seqlen, split), None, None, None, None


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
    moved by the attention and 4·P·H·d by the rotation.
    """
    if qkv.dim() != 4 or qkv.shape[1] != 3 or qkv.shape[3] % 2:
        raise ValueError(f"vision_attention: qkv must be (P, 3, H, even d), got {tuple(qkv.shape)}")
    expected = (qkv.shape[0], qkv.shape[3] // 2)
    if cos.shape != expected or sin.shape != expected:
        raise ValueError(f"vision_attention: cos {tuple(cos.shape)} and sin {tuple(sin.shape)} must both be {expected}")
    return _VisionAttention.apply(qkv.contiguous(), cos.contiguous(), sin.contiguous(), cu_seqlens, max_seqlen)
