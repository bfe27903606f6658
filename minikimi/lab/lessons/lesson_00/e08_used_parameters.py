"""Exercise 0.8: Parameters that one token uses (difficulty 2, 4 minutes)

Hint 1: Subtract what rests: in each layer with experts, n_routed_experts - num_experts_per_tok of them.

Hint 2: An expert is 3 * hidden_size * moe_intermediate_size; the layers with experts are num_hidden_layers -
first_k_dense_replace.

Why: Memory is paid for all experts, arithmetic only for those chosen: that is the bargain of a mixture of experts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.config import KimiVLConfig, TextConfig

wrong = Wrongs()


def used_parameters(text: TextConfig, total: int) -> int:
    """Of `total` parameters, those that one token passes through: all but the routed experts it is not sent to."""
    layers = text.num_hidden_layers - text.first_k_dense_replace
    expert = 3 * text.hidden_size * text.moe_intermediate_size
    idle = layers * (text.n_routed_experts - text.num_experts_per_tok) * expert
    return total - idle


def config_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    big = KimiVLConfig.preset("kimi-vl-a3b").text_config
    return [(big, 16_407_656_048), (replace(big, num_hidden_layers=5 + seed, first_k_dense_replace=2), 10**10)]


def _used(layers: int = 0, matrices: int = 3, experts: Callable[[TextConfig], int] | None = None):
    def answer(text: TextConfig, total: int) -> int:
        idle = experts(text) if experts else text.n_routed_experts - text.num_experts_per_tok
        depth = layers or text.num_hidden_layers - text.first_k_dense_replace
        return total - depth * idle * matrices * text.hidden_size * text.moe_intermediate_size

    return answer


@wrong("experts in every layer", "The first first_k_dense_replace layers have an ordinary network and no experts.")
def every_layer(text: TextConfig, total: int) -> int:
    return _used(layers=text.num_hidden_layers)(text, total)


@wrong(
    "a share of everything",
    "Only routed experts are chosen among; attention, embeddings and the vision tower work for every token.",
)
def share_of_everything(text: TextConfig, total: int) -> int:
    return total * text.num_experts_per_tok // text.n_routed_experts


wrong.add("two matrices an expert", "An expert has three matrices: gate, up and down.", _used(matrices=2))
wrong.add(
    "shared experts rest too",
    "Shared experts see every token: they never rest.",
    _used(experts=lambda t: t.n_routed_experts + t.n_shared_experts - t.num_experts_per_tok),
)

EXERCISE = Exercise(**words(__doc__), solution=used_parameters, cases=config_cases, wrong=wrong)
