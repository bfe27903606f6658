"""Exercise 6.10: What one layer holds, what a token uses (difficulty 2, 3 minutes)

Hint 1: An expert has three matrices (gate, up, down) of hidden_size x moe_intermediate_size.

Hint 2: The router and the shared experts serve every token; of the routed ones count all E, or K.

Why: Memory grows with all experts, arithmetic with the chosen ones: that is the whole bargain.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.config import KimiVLConfig, TextConfig

wrong = Wrongs()


def moe_parameters(text: TextConfig) -> tuple[int, int]:
    """Parameters of one MoE layer, and how many of them one token uses. Neither counts the selection bias."""
    expert = 3 * text.hidden_size * text.moe_intermediate_size
    always = text.n_routed_experts * text.hidden_size + text.n_shared_experts * expert
    return always + text.n_routed_experts * expert, always + text.num_experts_per_tok * expert


def cost_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    base = KimiVLConfig.preset("base").text_config
    return [(TextConfig(),), (base,), (TextConfig(hidden_size=64 + seed, n_shared_experts=3),)]


@wrong("two matrices an expert", "SwiGLU has three: gate, up and down.")
def two_matrices(text: TextConfig) -> tuple[int, int]:
    router = text.n_routed_experts * text.hidden_size
    total, active = moe_parameters(text)
    return router + (total - router) * 2 // 3, router + (active - router) * 2 // 3


@wrong("shared experts forgotten", "n_shared_experts more experts are there, and every token uses them.")
def shared_forgotten(text: TextConfig) -> tuple[int, int]:
    shared = 3 * text.hidden_size * text.moe_intermediate_size * text.n_shared_experts
    total, active = moe_parameters(text)
    return total - shared, active - shared


@wrong(
    "the dense layer's width",
    "Experts have moe_intermediate_size; intermediate_size is the width of the first, dense layer.",
)
def dense_width(text: TextConfig) -> tuple[int, int]:
    expert = 3 * text.hidden_size * text.intermediate_size
    always = text.n_routed_experts * text.hidden_size + text.n_shared_experts * expert
    return always + text.n_routed_experts * expert, always + text.num_experts_per_tok * expert


@wrong(
    "router of chosen experts only",
    "To choose K, a token needs the scores of all E experts: the entire router is in use.",
)
def router_partly_used(text: TextConfig) -> tuple[int, int]:
    total, active = moe_parameters(text)
    return total, active - (text.n_routed_experts - text.num_experts_per_tok) * text.hidden_size


EXERCISE = Exercise(**words(__doc__), solution=moe_parameters, cases=cost_cases, wrong=wrong)
