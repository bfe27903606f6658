"""Lesson 06: the cases that answers are tried on, the properties they must have, and common wrong answers."""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from minikimi.lab.exercise import Case, Misfit
from minikimi.model.config import KimiVLConfig, TextConfig
from minikimi.model.moe import Routing, sequence_aux_loss, update_selection_bias


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


# 6.1 ------------------------------------------------------------------------------------------------------------------
def expert_scores(x: Tensor, weight: Tensor) -> Tensor:
    """Tokens (T, D) and router weight (E, D) to scores (T, E), float32."""
    return F.linear(x.float(), weight.float()).sigmoid()


def score_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # The second case has D == E: a weight used the wrong way round goes through without an error.
    return [
        (numbers(seed, 3, 4, dtype=dtype), numbers(seed + 9, 5, 4, dtype=dtype)),
        (numbers(seed + 1, 2, 6, dtype=dtype), numbers(seed + 8, 6, 6, dtype=dtype)),
    ]


def softmax_scores(x: Tensor, weight: Tensor) -> Tensor:
    return F.linear(x.float(), weight.float()).softmax(dim=-1)


def raw_logits(x: Tensor, weight: Tensor) -> Tensor:
    return F.linear(x.float(), weight.float())


def low_precision_scores(x: Tensor, weight: Tensor) -> Tensor:
    return F.linear(x, weight).sigmoid()


def in_zero_one(run, x: Tensor, weight: Tensor) -> None:
    scores = run(x, weight)
    if scores.shape == (len(x), len(weight)) and not 0 <= float(scores.min()) <= float(scores.max()) <= 1:
        raise Misfit(f"a score lies between 0 and 1; yours run from {float(scores.min()):.2f} to {scores.max():.2f}")


# 6.2 ------------------------------------------------------------------------------------------------------------------
def choose_experts(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    """Scores (T, E) and selection bias (E,) to the chosen experts (T, K)."""
    return (scores + bias).topk(top_k, dim=-1, sorted=False).indices


def sorted_choice(answer, scores: Tensor, bias: Tensor, top_k: int) -> Tensor | None:
    """The order within a token means nothing, so it is sorted away."""
    chosen = answer(scores, bias, top_k)
    return chosen.sort(dim=-1).values if isinstance(chosen, Tensor) and chosen.ndim else chosen


def choice_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A bias large enough to change choices, with both signs; as many tokens as experts, so that a wrong axis runs.
    return [
        (numbers(seed, 6, 6).sigmoid(), 0.4 * numbers(seed + 5, 6), 2),
        (numbers(seed + 3, 8, 5).sigmoid(), 0.4 * numbers(seed + 6, 5), 3),
    ]


def bias_ignored(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    return choose_experts(scores, 0 * bias, top_k)


def bias_subtracted(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    return choose_experts(scores, -bias, top_k)


def bias_multiplied(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    return choose_experts(scores * (1 + bias), 0 * bias, top_k)


def experts_choose_tokens(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    return (scores + bias).topk(top_k, dim=0).indices.T


# 6.3 ------------------------------------------------------------------------------------------------------------------
def expert_weights(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    """What each chosen expert's output is multiplied by, (T, K)."""
    weights = scores.gather(1, indices)
    return weights / (weights.sum(dim=-1, keepdim=True) + 1e-20) * scaling


def weight_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    cases = []
    for scaling, top_k, experts in ((1.4088, 2, 5), (2.446, 3, 8)):
        scores, bias = numbers(seed + top_k, 4, experts).sigmoid(), 0.3 * numbers(seed + 7, experts)
        cases.append((scores, bias, choose_experts(scores, bias, top_k), scaling))
    return cases


def biased_weights(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return expert_weights(scores + bias, bias, indices, scaling)


def not_renormalised(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return scores.gather(1, indices) * scaling


def not_scaled(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return expert_weights(scores, bias, indices, 1.0)


def share_of_all(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return (scores / scores.sum(dim=-1, keepdim=True)).gather(1, indices) * scaling


def softmax_weights(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return scores.gather(1, indices).softmax(dim=-1) * scaling


def sums_to_scaling(run, scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> None:
    sums = run(scores, bias, indices, scaling).sum(dim=-1)
    if (sums - scaling).abs().max() > 1e-3:
        raise Misfit(f"the weights of every token must sum to {scaling}; those of token 0 sum to {float(sums[0]):.3f}")


# 6.4 ------------------------------------------------------------------------------------------------------------------
def mean_inverse_norm(logits: Tensor, top_k: int) -> Tensor:
    """Logits (T, E) to the mean over tokens of 1 / |p|, p the top-k sigmoids divided by their sum."""
    top = logits.sigmoid().topk(top_k, dim=-1).values
    p = top / top.sum(dim=-1, keepdim=True)
    return (1 / p.norm(dim=-1)).mean()


def logit_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Wide logits: the shares are uneven, so that the mean of the inverse is not the inverse of the mean.
    return [(3 * numbers(seed, 40, 5), 3), (4 * numbers(seed + 1, 30, 4), 2)]


def inverse_of_mean(logits: Tensor, top_k: int) -> Tensor:
    top = logits.sigmoid().topk(top_k, dim=-1).values
    return 1 / (top / top.sum(dim=-1, keepdim=True)).norm(dim=-1).mean()


def norm_itself(logits: Tensor, top_k: int) -> Tensor:
    top = logits.sigmoid().topk(top_k, dim=-1).values
    return (top / top.sum(dim=-1, keepdim=True)).norm(dim=-1).mean()


def bare_scores(logits: Tensor, top_k: int) -> Tensor:
    return (1 / logits.sigmoid().topk(top_k, dim=-1).values.norm(dim=-1)).mean()


def softmax_shares(logits: Tensor, top_k: int) -> Tensor:
    return (1 / logits.topk(top_k, dim=-1).values.softmax(dim=-1).norm(dim=-1)).mean()


# 6.5 ------------------------------------------------------------------------------------------------------------------
def experts_loop(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    """Token by token, expert by expert: (T, D) to (T, D)."""
    out = torch.zeros_like(x)
    for t in range(len(x)):
        for e, weight in zip(indices[t].tolist(), weights[t], strict=True):
            gate, up = (gate_up_proj[e] @ x[t]).chunk(2)
            out[t] += weight * (down_proj[e] @ (F.silu(gate) * up))
    return out


def expert_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    cases = []
    for tokens, experts, top_k, dim, hidden in ((5, 4, 2, 3, 2), (12, 3, 2, 4, 6)):
        chosen = numbers(seed + 3, tokens, experts).topk(top_k, dim=-1).indices
        weights = numbers(seed + 4, tokens, top_k).sigmoid()
        stacks = numbers(seed + 1, experts, 2 * hidden, dim), numbers(seed + 2, experts, dim, hidden)
        cases.append((numbers(seed, tokens, dim), chosen, weights, *stacks))
    return cases


def up_first(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    up, gate = gate_up_proj.chunk(2, dim=1)
    return experts_loop(x, indices, weights, torch.cat([gate, up], dim=1), down_proj)


def unweighted(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    return experts_loop(x, indices, torch.ones_like(weights), gate_up_proj, down_proj)


def slot_as_expert(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    slots = torch.arange(indices.shape[1]).expand_as(indices)
    return experts_loop(x, slots, weights, gate_up_proj, down_proj)


def weighted_input(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    for t in range(len(x)):
        for e, weight in zip(indices[t].tolist(), weights[t], strict=True):
            gate, up = (gate_up_proj[e] @ (weight * x[t])).chunk(2)
            out[t] += down_proj[e] @ (F.silu(gate) * up)
    return out


# 6.6 ------------------------------------------------------------------------------------------------------------------
def experts_grouped(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    """Expert by expert, all of its tokens at once: (T, D) to (T, D)."""
    out = torch.zeros_like(x)
    for e in range(len(gate_up_proj)):
        token, slot = (indices == e).nonzero(as_tuple=True)
        gate, up = F.linear(x[token], gate_up_proj[e]).chunk(2, dim=-1)
        y = F.linear(F.silu(gate) * up, down_proj[e])
        out.index_add_(0, token, weights[token, slot, None] * y)
    return out


class Products(TorchDispatchMode):
    """Counts matrix products of any kind."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += any(name in str(func) for name in ("mm.", "addmm", "mv.", "aten.dot"))
        return func(*args, **(kwargs or {}))


def few_products(run, x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> None:
    with Products() as products:
        run(x, indices, weights, gate_up_proj, down_proj)
    if len(x) > 2 * len(gate_up_proj) and products.count > 3 * len(gate_up_proj):
        raise Misfit(
            f"it makes {products.count} matrix products for {len(x)} tokens and {len(gate_up_proj)} experts; two for "
            "each expert are enough"
        )


def overwritten(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    for e in range(len(gate_up_proj)):
        token, slot = (indices == e).nonzero(as_tuple=True)
        gate, up = F.linear(x[token], gate_up_proj[e]).chunk(2, dim=-1)
        out[token] = weights[token, slot, None] * F.linear(F.silu(gate) * up, down_proj[e])
    return out


def first_slots_weight(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    return experts_grouped(x, indices, weights[:, :1].expand_as(weights), gate_up_proj, down_proj)


def first_choice_only(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    return experts_grouped(x, indices[:, :1], weights[:, :1], gate_up_proj, down_proj)


# 6.7 ------------------------------------------------------------------------------------------------------------------
def max_violation(counts: Tensor) -> Tensor:
    """Tokens per expert (E,) to how far the busiest expert lies above the even share: 0 is perfect balance."""
    return counts.max() / counts.float().mean() - 1


def count_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # An idle expert lies further from the mean than the busiest one in the first case.
    return [(torch.tensor([10, 12 + seed, 0, 11]),), (torch.tensor([3, 40 + seed, 2, 1, 4]),)]


def largest_deviation(counts: Tensor) -> Tensor:
    return (counts.float() / counts.float().mean() - 1).abs().max()


def share_of_tokens(counts: Tensor) -> Tensor:
    return counts.max() / counts.float().sum()


def busiest_ratio(counts: Tensor) -> Tensor:
    return max_violation(counts) + 1


def max_over_min(counts: Tensor) -> Tensor:
    return counts.max() / counts.float().min().clamp(min=1) - 1


# 6.8 ------------------------------------------------------------------------------------------------------------------
def updated_bias(answer, router: SimpleNamespace, counts: Tensor, rate: float) -> Tensor:
    answer(router, counts, rate)
    return router.e_score_correction_bias


def update_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Unequal numbers of experts above and below the mean, and one exactly at it: the mean of the signs is not zero.
    bias = 0.01 * numbers(seed, 6)
    return [
        (SimpleNamespace(e_score_correction_bias=bias), torch.tensor([1, 2, 30, 3, 4, 8]), 0.01),
        (SimpleNamespace(e_score_correction_bias=bias[:4].clone()), torch.tensor([9, 9, 9, 1 + seed]), 0.02),
    ]


def rich_get_richer(router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    update_selection_bias(router, counts, -rate)  # type: ignore[arg-type]


def proportional(router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    error = counts.float().mean() - counts.float()
    router.e_score_correction_bias += rate * error


def drifting(router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    router.e_score_correction_bias += rate * (counts.float().mean() - counts.float()).sign()


def replaced(router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    sign = (counts.float().mean() - counts.float()).sign()
    router.e_score_correction_bias.copy_(rate * (sign - sign.mean()))


def keeps_the_mean(run, router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    before = float(router.e_score_correction_bias.mean())
    after = float(run(router, counts, rate).mean())
    if abs(after - before) > 1e-5:
        raise Misfit(f"an update must not move the mean of the bias; here it goes from {before:.5f} to {after:.5f}")


# 6.9 ------------------------------------------------------------------------------------------------------------------
def routing_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Unequal lengths, an empty sequence, and never as many sequences as choices: every misplaced divisor shows.
    cases = []
    for bounds, experts, top_k in (([0, 3, 10, 12], 5, 2), ([0, 4, 4, 15], 6, 3)):
        scores = numbers(seed + top_k, bounds[-1], experts).sigmoid()
        indices = scores.topk(top_k, dim=-1).indices
        cases.append((Routing(scores, indices, scores.gather(1, indices)), torch.tensor(bounds, dtype=torch.int32)))
    return cases


def one_long_sequence(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    return sequence_aux_loss(routing, cu_seqlens[[0, -1]])


def not_per_choice(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    return sequence_aux_loss(routing, cu_seqlens) * routing.indices.shape[1]


def summed_over_sequences(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    return sequence_aux_loss(routing, cu_seqlens) * (cu_seqlens.diff() > 0).sum()


def normalised_scores(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    shares = routing.scores / routing.scores.sum(dim=-1, keepdim=True)
    return sequence_aux_loss(Routing(shares, routing.indices, routing.weights), cu_seqlens)


# 6.10 -----------------------------------------------------------------------------------------------------------------
def moe_parameters(text: TextConfig) -> tuple[int, int]:
    """Parameters of one MoE layer, and how many of them one token uses. Neither counts the selection bias."""
    expert = 3 * text.hidden_size * text.moe_intermediate_size
    always = text.n_routed_experts * text.hidden_size + text.n_shared_experts * expert
    return always + text.n_routed_experts * expert, always + text.num_experts_per_tok * expert


def cost_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    base = KimiVLConfig.preset("base").text_config
    return [(TextConfig(),), (base,), (TextConfig(hidden_size=64 + seed, n_shared_experts=3),)]


def two_matrices(text: TextConfig) -> tuple[int, int]:
    router = text.n_routed_experts * text.hidden_size
    total, active = moe_parameters(text)
    return router + (total - router) * 2 // 3, router + (active - router) * 2 // 3


def shared_forgotten(text: TextConfig) -> tuple[int, int]:
    shared = 3 * text.hidden_size * text.moe_intermediate_size * text.n_shared_experts
    total, active = moe_parameters(text)
    return total - shared, active - shared


def dense_width(text: TextConfig) -> tuple[int, int]:
    expert = 3 * text.hidden_size * text.intermediate_size
    always = text.n_routed_experts * text.hidden_size + text.n_shared_experts * expert
    return always + text.n_routed_experts * expert, always + text.num_experts_per_tok * expert


def router_partly_used(text: TextConfig) -> tuple[int, int]:
    total, active = moe_parameters(text)
    return total, active - (text.n_routed_experts - text.num_experts_per_tok) * text.hidden_size
