"""One decoding step of absorbed MLA over the latent cache: split-KV, memory-bound (lessons 05 and 16).

DeepSeek-V2 (arXiv 2405.04434, section 2.1) folds W_UK into the query and W_UV into the output, so that decoding never
expands the cache: the cached latent (512 values a token) is the key of every head *and* its value, and 64 rotated key
channels stand beside it. Each of the 16 heads reads the same 576 numbers a token, so all heads are one tile and a
latent is read from memory once:

    cache row    [ latent 512 | rotated key 64 ]
    scores     = q_latent · latentᵀ + q_rope · keyᵀ        (heads x BLOCK_K)
    out       += weights · latent                           the tile just used as keys, now as values

With few sequences in flight there are too few programs to draw the full memory bandwidth, so the tokens of a sequence
are split among programs (Flash-Decoding) and a second small kernel joins their softmaxes; with one split that kernel is
skipped.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..common import INTERPRET, card
from ..tiles import dot, load_tile, store_tile, tile_width
from .parts import LOG2_E, softmax_step


def mla_decode_reference(
    q_latent: torch.Tensor, q_rope: torch.Tensor, cache: torch.Tensor, lengths: torch.Tensor, scale: float
) -> torch.Tensor:
    """The same function in plain torch, one sequence after another, in the dtype of the inputs (float64 for tests)."""
    rank = q_latent.shape[-1]
    out = torch.zeros_like(q_latent)
    for index, length in enumerate(lengths.tolist()):
        latent, key = cache[index, :length].split([rank, cache.shape[-1] - rank], dim=-1)
        scores = q_latent[index] @ latent.T + q_rope[index] @ key.T
        out[index] = (scores * scale).softmax(-1) @ latent
    return out


@triton.jit
def _mla_decode_kernel(
    q_latent, q_rope, cache, lengths, out, lse, scale_log2,
    stride_ql, head_ql, stride_qr, head_qr, stride_cache, stride_token,
    HEADS: tl.constexpr, R: tl.constexpr, D_ROPE: tl.constexpr, SPLITS: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    split = tl.program_id(0)
    row = tl.program_id(1).to(tl.int64)
    length = tl.load(lengths + row)
    share = tl.cdiv(tl.cdiv(length, BLOCK_K), SPLITS) * BLOCK_K
    heads = tl.arange(0, tile_width(HEADS))
    ql = load_tile(q_latent + row * stride_ql, heads, head_ql, HEADS, R, True)
    qr = load_tile(q_rope + row * stride_qr, heads, head_qr, HEADS, D_ROPE, True).to(ql.dtype)
    cache += row * stride_cache
    peak = tl.full([tile_width(HEADS)], float("-inf"), tl.float32)
    weight_sum = tl.zeros([tile_width(HEADS)], tl.float32)
    acc = tl.zeros([tile_width(HEADS), tile_width(R)], tl.float32)

    # Rows past `length` were never written and may hold anything, NaN included: they are masked out of every load.
    for k0 in range(split * share, min((split + 1) * share, length), BLOCK_K):
        tokens = k0 + tl.arange(0, BLOCK_K)
        latent = load_tile(cache, tokens, stride_token, length, R, True).to(ql.dtype)
        key = load_tile(cache + R, tokens, stride_token, length, D_ROPE, True).to(ql.dtype)
        scores = dot(ql, latent.T) + dot(qr, key.T)
        scores = tl.where(tokens[None, :] < length, scores, float("-inf"))
        weights, peak, weight_sum, shrink = softmax_step(scores, scale_log2, peak, weight_sum)
        acc = acc * shrink[:, None] + dot(weights.to(latent.dtype), latent)

    # An empty share has no weight and no peak: it yields zeros here and 2^-inf = 0 in the join.
    weight_sum = tl.where(weight_sum > 0, weight_sum, 1.0)
    first = (row * SPLITS + split) * HEADS
    store_tile(out + first * R, heads, R, HEADS, acc / weight_sum[:, None], R)
    if SPLITS > 1:
        tl.store(lse + first + heads, peak + tl.log2(weight_sum), mask=heads < HEADS)


@triton.jit
def _mla_join_kernel(
    parts,
    lse,
    out,
    HEADS: tl.constexpr,
    R: tl.constexpr,
    SPLITS: tl.constexpr,
    T_SPLITS: tl.constexpr,
    T_R: tl.constexpr,
):
    """One head of one sequence: the average of its parts, weighted by their softmax sums."""
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    splits = tl.arange(0, T_SPLITS)
    at = (row * SPLITS + splits) * HEADS + head
    sums = tl.load(lse + at, mask=splits < SPLITS, other=float("-inf"))
    peak = tl.max(sums, 0)
    weights = tl.exp2(sums - tl.where(peak == float("-inf"), 0.0, peak))
    weight_sum = tl.sum(weights, 0)
    weights = weights / tl.where(weight_sum > 0, weight_sum, 1.0)
    channels = tl.program_id(2) * T_R + tl.arange(0, T_R)
    inside = (splits[:, None] < SPLITS) & (channels[None, :] < R)
    values = tl.load(parts + at[:, None] * R + channels[None, :], mask=inside, other=0.0)
    joined = tl.sum(values * weights[:, None], 0)
    tl.store(out + (row * HEADS + head) * R + channels, joined.to(out.dtype.element_ty), mask=channels < R)


def choose_splits(batch: int, capacity: int, at_once: int) -> int:
    """Programs per sequence: as many as fill the chip in one wave, one a multiprocessor, with at least 256 tokens each.

    Every split writes heads · R floats that the join reads back, so more splits than that cost bandwidth and gain
    nothing.
    """
    return max(1, min(at_once // max(batch, 1), capacity // 256, 64))


def _config(cache: torch.Tensor) -> dict[str, int]:
    if INTERPRET:
        return {"BLOCK_K": 64}
    if cache.dtype == torch.float32:
        return {"BLOCK_K": 16, "num_warps": 4, "num_stages": 2}
    if not card(cache.device).has_large_shared_memory:
        return {"BLOCK_K": 32, "num_warps": 8, "num_stages": 2}
    return {"BLOCK_K": 64, "num_warps": 8, "num_stages": 3}


def mla_decode(
    q_latent: torch.Tensor,
    q_rope: torch.Tensor,
    cache: torch.Tensor,
    lengths: torch.Tensor,
    scale: float,
    splits: int | None = None,
) -> torch.Tensor:
    """Attention of one new query per sequence over its cached latents; no gradient.

    Nothing is read back to the CPU, so it may be captured in a CUDA graph.

    Args:
        q_latent: (B, H, R) queries multiplied by W_UK.
        q_rope: (B, H, dr) rotated queries.
        cache: (B, L, R + dr) latent, then rotated key of each token, in any float dtype (under autocast the cache keeps
            its own); rows from `lengths` on are ignored, whatever they hold.
        lengths: (B,) int32 tokens in use, 0 to L; a length of 0 gives zeros.
        scale: factor on the scores, (d_nope + d_rope)^-1/2 in Kimi-VL.
        splits: programs per sequence; chosen from the batch and the chip when None.

    Returns:
        (B, H, R) in the dtype of `q_latent`, still to be multiplied by W_UV.

    Raises:
        ValueError: shapes that do not fit together.

    Cost: Σ lengths · (R + dr) elements read, 2·H·(2R + dr) FLOPs a token: with 16 heads in bf16 about 30 FLOPs a byte,
    a tenth of what would keep the matrix units busy.
    """
    batch, heads, rank = q_latent.shape
    rope = q_rope.shape[-1]
    if q_rope.shape[:2] != (batch, heads) or cache.shape[0] != batch or cache.shape[2] != rank + rope:
        raise ValueError(
            f"mla_decode: q_rope {tuple(q_rope.shape)} and cache {tuple(cache.shape)} do not fit "
            f"q_latent {tuple(q_latent.shape)}"
        )
    q_latent, q_rope, cache = (x if x.stride(-1) == 1 else x.contiguous() for x in (q_latent, q_rope, cache))
    if splits is None:
        splits = choose_splits(batch, cache.shape[1], card(cache.device).multiprocessors)
    out = torch.empty(batch, heads, rank, dtype=q_latent.dtype, device=q_latent.device)
    if out.numel() == 0:
        return out
    parts = out if splits == 1 else out.new_empty(batch, splits, heads, rank, dtype=torch.float32)
    lse = out.new_empty(batch, splits, heads, dtype=torch.float32)
    _mla_decode_kernel[(splits, batch)](
        q_latent, q_rope, cache, lengths, parts, lse, scale * LOG2_E,
        *q_latent.stride()[:2], *q_rope.stride()[:2], *cache.stride()[:2],
        HEADS=heads, R=rank, D_ROPE=rope, SPLITS=splits, **_config(cache),
    )  # fmt: skip
    if splits > 1:
        channels = min(128, tile_width(rank))
        grid = (batch, heads, triton.cdiv(rank, channels))
        _mla_join_kernel[grid](
            parts, lse, out, HEADS=heads, R=rank, SPLITS=splits, T_SPLITS=triton.next_power_of_2(splits), T_R=channels
        )
    return out
