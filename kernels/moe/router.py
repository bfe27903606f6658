"""The router in one kernel: scores of all experts, the choice of K, and their weights (lessons 06 and 16).

    scores  = sigmoid(x Wᵀ)                          (T, E), as exact as float32 products
    indices = the K largest of scores + bias
    weights = scaling · scores[indices] / their sum

In torch these are nine launches of a few microseconds for a (T, 64) matrix, and a float32 copy of x. Here a program
keeps the scores of its tokens in registers until they are chosen and weighted. The product runs on the matrix units all
the same: bf16 operands multiply exactly into float32 sums, and float32 ones count as three tf32 products, whose error
is that of float32 (DeepSeek-V3, arXiv 2412.19437, section 2.1.2, for what is computed).
"""

import torch
import triton
import triton.language as tl
from torch.autograd.function import once_differentiable

from ..common import INTERPRET
from ..tiles import tile_width


@triton.jit
def _router_kernel(
    x, weight, bias, pinned, scores, indices, weights, num_tokens, scaling,
    D: tl.constexpr, E: tl.constexpr, K: tl.constexpr, T_K: tl.constexpr, PINNED: tl.constexpr, EXACT: tl.constexpr,
    BLOCK_T: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """BLOCK_T tokens; EXACT: both operands are bf16."""
    token = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    experts, choices = tl.arange(0, tile_width(E)), tl.arange(0, T_K)
    real, known = token < num_tokens, experts < E
    logits = tl.zeros([BLOCK_T, tile_width(E)], tl.float32)
    for first in range(0, D, BLOCK_D):
        d = first + tl.arange(0, BLOCK_D)
        x_at = x + token.to(tl.int64)[:, None] * D + d[None, :]
        x_tile = tl.load(x_at, mask=real[:, None] & (d < D)[None, :], other=0.0)
        w_at = weight + experts[:, None] * D + d[None, :]
        w_tile = tl.load(w_at, mask=known[:, None] & (d < D)[None, :], other=0.0)
        if EXACT:
            logits = tl.dot(x_tile, w_tile.T, logits)
        else:
            logits = tl.dot(x_tile.to(tl.float32), w_tile.to(tl.float32).T, logits, input_precision="tf32x3")
    score = tl.sigmoid(logits)
    row = token.to(tl.int64)[:, None]
    tl.store(scores + row * E + experts[None, :], score, mask=real[:, None] & known[None, :])

    if not PINNED:
        shift = tl.load(bias + experts, mask=known, other=0.0)
        ranked = tl.where(known[None, :], score + shift[None, :], float("-inf"))
    chosen = tl.zeros([BLOCK_T, T_K], tl.int32)
    chosen_score = tl.zeros([BLOCK_T, T_K], tl.float32)
    for k in tl.static_range(K):
        if PINNED:
            expert = tl.load(pinned + token.to(tl.int64) * K + k, mask=real, other=0).to(tl.int32)
        else:
            expert = tl.minimum(tl.argmax(ranked, 1), E - 1)  # a NaN must not point outside
            ranked = tl.where(experts[None, :] == expert[:, None], float("-inf"), ranked)
        its_score = tl.sum(tl.where(experts[None, :] == expert[:, None], score, 0.0), 1)
        chosen = tl.where(choices[None, :] == k, expert[:, None], chosen)
        chosen_score = tl.where(choices[None, :] == k, its_score[:, None], chosen_score)
    at, inside = row * K + choices[None, :], real[:, None] & (choices < K)[None, :]
    total = tl.sum(chosen_score, 1) + 1e-20
    tl.store(weights + at, chosen_score / total[:, None] * scaling, mask=inside)
    if not PINNED:
        tl.store(indices + at, chosen.to(tl.int64), mask=inside)


@triton.jit
def _router_backward_kernel(
    grad_scores, grad_weights, scores, indices, grad_logits, num_tokens, scaling,
    E: tl.constexpr, K: tl.constexpr, BLOCK_T: tl.constexpr,
):  # fmt: skip
    """With w = c s / S over the chosen: ds_k = c (g_k - Σ_j g_j s_j / S) / S, then through the sigmoid."""
    token = (tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)).to(tl.int64)
    experts = tl.arange(0, tile_width(E))
    real = token < num_tokens
    inside = real[:, None] & (experts < E)[None, :]
    at = token[:, None] * E + experts[None, :]
    score = tl.load(scores + at, mask=inside, other=0.0)
    grad = tl.load(grad_scores + at, mask=inside, other=0.0)
    grad_of_expert = tl.zeros([BLOCK_T, tile_width(E)], tl.float32)  # of the weight, zero where not chosen
    is_chosen = tl.zeros([BLOCK_T, tile_width(E)], tl.float32)
    for k in tl.static_range(K):
        expert = tl.load(indices + token * K + k, mask=real, other=0).to(tl.int32)
        its_grad = tl.load(grad_weights + token * K + k, mask=real, other=0.0)
        mine = experts[None, :] == expert[:, None]
        grad_of_expert = tl.where(mine, its_grad[:, None], grad_of_expert)
        is_chosen = tl.where(mine, 1.0, is_chosen)
    total = tl.sum(score * is_chosen, 1)[:, None] + 1e-20
    mean = tl.sum(grad_of_expert * score, 1)[:, None] / total
    grad += is_chosen * (grad_of_expert - mean) * scaling / total
    tl.store(grad_logits + at, grad * score * (1.0 - score), mask=inside)


class _Router(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, pinned, top_k, scaling):
        (tokens, width), experts, device = x.shape, weight.shape[0], x.device
        scores = torch.empty(tokens, experts, dtype=torch.float32, device=device)
        weights = torch.empty(tokens, top_k, dtype=torch.float32, device=device)
        indices = torch.empty(tokens, top_k, dtype=torch.int64, device=device) if pinned is None else pinned
        exact = x.dtype == weight.dtype == torch.bfloat16 and not INTERPRET
        block_t = 64 if INTERPRET or tokens > 2048 else 16
        if tokens:
            _router_kernel[(triton.cdiv(tokens, block_t),)](
                x, weight, bias, pinned, scores, indices, weights, tokens, scaling,
                D=width, E=experts, K=top_k, T_K=triton.next_power_of_2(top_k), PINNED=pinned is not None, EXACT=exact,
                BLOCK_T=block_t, BLOCK_D=128 if exact else 64, num_warps=4, num_stages=3,
            )  # fmt: skip
        ctx.save_for_backward(x, weight, scores, indices)
        ctx.scaling = scaling
        ctx.mark_non_differentiable(indices)
        return scores, indices, weights

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_scores, _, grad_weights):
        x, weight, scores, indices = ctx.saved_tensors
        tokens, experts = scores.shape
        grad_logits = torch.empty_like(scores)
        block_t = 64 if INTERPRET else 16
        if tokens:
            _router_backward_kernel[(triton.cdiv(tokens, block_t),)](
                grad_scores.contiguous(), grad_weights.contiguous(), scores, indices, grad_logits, tokens, ctx.scaling,
                E=experts, K=indices.shape[1], BLOCK_T=block_t,
            )  # fmt: skip
        grad_x = grad_logits.to(x.dtype) @ weight.to(x.dtype)
        grad_weight = grad_logits.to(weight.dtype).T @ x.to(weight.dtype)
        return grad_x, grad_weight, None, None, None, None


def route_tokens(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    top_k: int,
    scaling: float,
    pinned: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores, choice and weights of T tokens; differentiable in x and weight through scores and weights.

    Args:
        x: (T, D) tokens, bf16, fp16 or fp32.
        weight: (E, D), any of these dtypes.
        bias: (E,) float32, added for the choice alone; no gradient.
        top_k: K, the experts chosen for each token.
        scaling: the sum of a token's weights.
        pinned: (T, K) int64, the choice to take instead of the K largest.

    Returns:
        scores (T, E) float32, indices (T, K) int64 (the best first; `pinned` itself where given), weights (T, K)
        float32.

    Raises:
        ValueError: shapes that do not fit together, or more choices than experts.
    """
    (tokens, width), experts = x.shape, weight.shape[0]
    if weight.shape != (experts, width) or bias.shape != (experts,) or not 0 < top_k <= experts:
        sides = f"x {tuple(x.shape)}, weight {tuple(weight.shape)}, bias {tuple(bias.shape)} and top_k {top_k}"
        raise ValueError(f"route_tokens: {sides} do not fit; expected (T, D), (E, D), (E,) and at most E")
    if pinned is not None and pinned.shape != (tokens, top_k):
        raise ValueError(f"route_tokens: pinned {tuple(pinned.shape)} must be {(tokens, top_k)}")
    pinned = None if pinned is None else pinned.contiguous()
    return _Router.apply(x.contiguous(), weight.contiguous(), bias.contiguous(), pinned, top_k, scaling)


def route_tokens_reference(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    top_k: int,
    scaling: float,
    pinned: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`route_tokens` in plain torch, in float32 (float64 for float64)."""
    wide = torch.promote_types(x.dtype, torch.float32)
    scores = (x.to(wide) @ weight.to(wide).T).sigmoid()
    indices = (scores + bias).topk(top_k, dim=-1).indices if pinned is None else pinned
    weights = scores.gather(1, indices)
    return scores, indices, weights / (weights.sum(dim=-1, keepdim=True) + 1e-20) * scaling
