"""Exercise 7.11: Sort the parameters by part (difficulty 2, 3 minutes)

Hint 1: Ask for the beginnings first (tower, projector, head, embedding), then for '.self_attn.', then for the routed
experts.

Hint 2: '.mlp.experts.' is the routed ones only; what is left with '_proj.' in its name is another MLP; the rest are
norms and routers.

Why: The names tell the structure: which module, which layer, which matrix. The counts of the report are sums over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_07.shared import NANO
from minikimi.model.checkpoint import official_tensors
from minikimi.model.kimi_vl import KimiVL

wrong = Wrongs()

BEGINNINGS = {
    "vision_tower.": "vision tower",
    "multi_modal_projector.": "projector",
    "language_model.lm_head.": "output head",
    "language_model.model.embed_tokens.": "embedding",
}


def model_part(name: str) -> str:
    """The part of the model that an official parameter name belongs to."""
    for beginning, part in BEGINNINGS.items():
        if name.startswith(beginning):
            return part
    if ".self_attn." in name:
        return "attention"
    if ".mlp.experts." in name:
        return "routed experts"
    return "other MLPs" if "_proj." in name else "norms and routers"


@cache
def all_names() -> tuple[str, ...]:
    with torch.device("meta"):
        return tuple(name for name, _ in official_tensors(KimiVL(NANO)))


def part_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(all_names()[seed::3],), (all_names()[seed::2],)]


def run_parts(answer, names: Sequence[str]) -> list[str]:
    return [answer(name) for name in names]


def names_the_name(run, names: Sequence[str]) -> None:
    for name, part in zip(names, run(names), strict=True):
        if part != model_part(name):
            raise Misfit(f"{name} does not belong to {part!r}")


@wrong(
    "shared experts among the routed",
    "'experts.' also occurs in '.mlp.shared_experts.', which every token uses. Look for '.mlp.experts.'.",
)
def shared_as_routed(name: str) -> str:
    return "routed experts" if "experts." in name else model_part(name)


@wrong(
    "the router among the MLPs",
    "'.mlp.gate.' is the router; the MLP's matrix is '.mlp.gate_proj.'. One letter more or less.",
)
def router_as_mlp(name: str) -> str:
    return "other MLPs" if ".mlp.gate." in name and name.startswith("language_model") else model_part(name)


@wrong(
    "all norms together",
    "A norm inside the tower, the projector or attention belongs to that part: ask for the part first.",
)
def norms_together(name: str) -> str:
    return "norms and routers" if "norm" in name else model_part(name)


@wrong("the first layer among the experts", "Layer 0 has a dense MLP without experts: it belongs to the other MLPs.")
def first_layer_as_routed(name: str) -> str:
    return "routed experts" if ".layers.0.mlp." in name else model_part(name)


EXERCISE = Exercise(
    **words(__doc__), solution=model_part, cases=part_cases, run=run_parts, properties=(names_the_name,), wrong=wrong
)
