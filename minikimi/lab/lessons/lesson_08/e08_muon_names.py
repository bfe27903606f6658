"""Exercise 8.8: Who goes to Muon? (difficulty 2, 3 minutes)

Hint 1: At least two axes, and not one of the three tables: token embedding, output head, position table.

Hint 2: len(shape) >= 2 and not name.endswith(("embed_tokens.weight", "lm_head.weight", "pos_emb.weight")).

Why: A table's rows are looked up one by one and never mixed, so its singular directions mean nothing.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()

NAMES = {
    "language_model.model.embed_tokens.weight": (1024, 64),
    "language_model.model.norm.weight": (64,),
    "language_model.model.layers.0.self_attn.q_proj.weight": (64, 64),
    "language_model.model.layers.1.mlp.gate.weight": (8, 64),
    "language_model.model.layers.1.mlp.experts.gate_up_proj": (8, 64, 64),
    "language_model.lm_head.weight": (1024, 64),
    "vision_tower.patch_embed.proj.weight": (64, 3, 14, 14),
    "vision_tower.patch_embed.proj.bias": (64,),
    "vision_tower.patch_embed.pos_emb.weight": (8, 8, 64),
}


def muon_names(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    """The names that go to Muon, in order."""
    tables = ("embed_tokens.weight", "lm_head.weight", "pos_emb.weight")
    return [name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(tables)]


def name_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(NAMES,), ({name: NAMES[name] for name in list(NAMES)[seed : seed + 6]},)]


@wrong(
    "everything with two axes",
    "Embedding, head and position table have two axes or more, but they are tables: AdamW.",
)
def everything_with_two_axes(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    return [name for name, shape in shapes.items() if len(shape) >= 2]


@wrong("two axes exactly", "Stacked experts have three axes, the patch convolution four; both hold matrices.")
def matrices_only(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    return [name for name in muon_names(shapes) if len(shapes[name]) == 2]


@wrong("router left out", "The router is a matrix like others; the Moonlight report trains it with Muon.")
def router_left_out(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    return [name for name in muon_names(shapes) if not name.endswith("mlp.gate.weight")]


@wrong("head included", "The head compares with one vector per word: a table, like the embedding.")
def head_included(shapes: dict[str, tuple[int, ...]]) -> list[str]:
    tables = ("embed_tokens.weight", "pos_emb.weight")
    return [name for name, shape in shapes.items() if len(shape) >= 2 and not name.endswith(tables)]


EXERCISE = Exercise(**words(__doc__), solution=muon_names, cases=name_cases, wrong=wrong)
