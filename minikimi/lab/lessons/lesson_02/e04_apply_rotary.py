"""Exercise 2.4: Turn all heads at once (difficulty 3, 6 minutes)

Hint 1: x.unflatten(-1, (-1, 2)) shows the pairs as a last axis of 2; unbind it into a and b of shape (T, H, d/2).

Hint 2: cos[:, None] lines (T, d/2) up with (T, H, d/2). Join with stack(..., dim=-1).flatten(-2), in float32, then cast
back.

Why: stack and flatten(-2) put each turned pair back where it came from; every head gets the same angles.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.rope import apply_rotary, rotary_1d

wrong = Wrongs()


def heads_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # As many heads as positions: a table laid along the wrong axis goes through without an error.
    tables = [rotary_1d(torch.arange(t) + seed, 8, 100.0) for t in (3, 5)]
    return [(numbers(seed, 3, 3, 8, dtype=dtype), *tables[0]), (numbers(seed, 5, 2, 8, dtype=dtype), *tables[1])]


@wrong("half-split pairs", "chunk(2, dim=-1) pairs channel i with i + d/2. Neighbours are unflatten(-1, (-1, 2)).")
def halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.float().chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


@wrong(
    "pairs joined in blocks",
    "torch.cat puts all first components before all second ones; stack on a new last axis, then flatten(-2).",
)
def joined_in_blocks(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return apply_rotary(x, cos, sin).unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)


@wrong("turning backwards", "The minus sign belongs to the first component: a cos - b sin.")
def turned_back(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return apply_rotary(x, cos, -sin)


@wrong(
    "angles along the heads",
    "cos[None] lines positions up with heads. The positions are axis 0 of x: use cos[:, None].",
)
def tables_along_heads(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return apply_rotary(x.transpose(0, 1), cos, sin).transpose(0, 1)


@wrong("left in float32", "Compute in float32, but give back x's own dtype: .to(x.dtype) at the end.")
def left_in_float32(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return apply_rotary(x.float(), cos, sin)


EXERCISE = Exercise(**words(__doc__), solution=apply_rotary, cases=heads_cases, dtypes=BOTH, wrong=wrong)
