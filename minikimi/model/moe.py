"""Mixture of experts, DeepSeek-V3 style: many small MLPs of which each token uses a few (lesson 06).

* The router scores all experts with a sigmoid, in float32.
* It *chooses* by score plus a selection bias and *weights* by the score alone, renormalised over the chosen and scaled.
* The bias is no parameter: after each step it rises for experts with too little work and falls for those with too much.
* Shared experts see every token; their output is added unscaled.

Sources: DeepSeek-V3 (arXiv 2412.19437), section 2.1.2; Moonlight (arXiv 2502.16982), appendix C; the released Kimi-VL
code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from minikimi.model import ops
from minikimi.model.config import TextConfig


@dataclass
class Routing:
    """What the router decided for T tokens."""

    scores: Tensor  # (T, E) of all experts
    indices: Tensor  # (T, K) the chosen experts
    weights: Tensor  # (T, K) their weights in the sum

    def counts(self) -> Tensor:
        """Tokens per expert (E,)."""
        return torch.bincount(self.indices.flatten(), minlength=self.scores.shape[1])


class Router(nn.Module):
    """Scores, choice and weights. `e_score_correction_bias` is a float32 buffer, moved by `update_selection_bias`."""

    e_score_correction_bias: Tensor

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.top_k, self.scaling = config.num_experts_per_tok, config.routed_scaling_factor
        self.weight = nn.Parameter(torch.empty(config.n_routed_experts, config.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(config.n_routed_experts, dtype=torch.float32))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        nn.init.zeros_(self.e_score_correction_bias)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Router:
        """Move or cast as any module does, but keep the bias in float32: bfloat16 would swallow its steps of 0.001."""
        bias = self.e_score_correction_bias
        super()._apply(fn, recurse)
        if self.e_score_correction_bias.dtype != torch.float32:
            self.e_score_correction_bias = bias.to(self.e_score_correction_bias.device)
        return self

    def forward(self, x: Tensor, pinned: Tensor | None = None) -> Routing:
        """Tokens (T, D) to their routing.

        `pinned` (T, K) replaces the choice, not the weights: for runs that are replayed or compared.
        """
        return Routing(
            *ops.route_tokens(x, self.weight, self.e_score_correction_bias, self.top_k, self.scaling, pinned)
        )


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)), no biases: the dense layer's MLP and the shared experts."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(dim, hidden, bias=False)
        self.up_proj = nn.Linear(dim, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(ops.swiglu(self.gate_proj(x), self.up_proj(x)))


class Experts(nn.Module):
    """All routed experts of a layer, stacked: `gate_up_proj` (E, 2F, D), gate rows first, `down_proj` (E, D, F)."""

    def __init__(self, num_experts: int, dim: int, hidden: int, std: float) -> None:
        super().__init__()
        self.std = std
        self.gate_up_proj = nn.Parameter(torch.empty(num_experts, 2 * hidden, dim))
        self.down_proj = nn.Parameter(torch.empty(num_experts, dim, hidden))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.gate_up_proj, std=self.std)
        nn.init.normal_(self.down_proj, std=self.std)

    def forward(self, x: Tensor, routing: Routing) -> Tensor:
        """Each token's weighted sum over its experts: (T, D) to (T, D)."""
        return ops.moe_experts(x, routing.indices, routing.weights, self.gate_up_proj, self.down_proj)


class MoE(nn.Module):
    """Router, routed experts and shared experts. The shared ones are a single SwiGLU of their joint width."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        dim, hidden = config.hidden_size, config.moe_intermediate_size
        self.gate = Router(config)
        self.experts = Experts(config.n_routed_experts, dim, hidden, config.initializer_range)
        self.shared_experts = SwiGLU(dim, hidden * config.n_shared_experts)

    def forward(self, x: Tensor, pinned: Tensor | None = None) -> tuple[Tensor, Routing]:
        routing = self.gate(x, pinned)
        return self.experts(x, routing) + self.shared_experts(x), routing


def sequence_aux_loss(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    """Balance within each sequence: the mean over sequences of `sum_e f_e P_e`, to be multiplied by `aux_loss_alpha`.

    `f_e = count_e * E / (T * K)` and P_e is the mean score of e, over the T tokens of one sequence of the packed bounds
    (S + 1,). With even load every f_e is 1. Empty sequences do not count. Source: DeepSeek-V2 (arXiv 2405.04434),
    section 2.2.3, with the sigmoid scores of the released code.
    """
    experts, top_k = routing.scores.shape[1], routing.indices.shape[1]
    lengths = cu_seqlens.diff().long()
    segment = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)  # (T,)
    chosen = torch.zeros_like(routing.scores).scatter_(1, routing.indices, 1.0)  # (T, E)
    zeros = routing.scores.new_zeros(len(lengths), experts)
    steps = lengths.clamp(min=1)[:, None]
    frequency = zeros.index_add(0, segment, chosen) * experts / (steps * top_k)
    mean_score = zeros.index_add(0, segment, routing.scores) / steps
    return (frequency * mean_score).sum() / (lengths > 0).sum().clamp(min=1)


@torch.no_grad()
def update_selection_bias(router: Router, counts: Tensor, rate: float) -> None:
    """Move the bias by `rate` towards even load.

    `b += rate * (sign(e) - mean sign(e))`, with e > 0 for an expert with too few tokens. `counts` (E,) are the tokens
    each expert got since the last update, over all processes. Source: Moonlight (arXiv 2502.16982), appendix C.
    """
    sign = (counts.float().mean() - counts.float()).sign()
    router.e_score_correction_bias += rate * (sign - sign.mean())
