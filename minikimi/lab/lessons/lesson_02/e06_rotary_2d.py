"""Exercise 2.6: Angles for patches: two positions take turns (difficulty 3, 8 minutes)

Hint 1: dim/2 pairs, half of them for each axis: dim/4 frequencies, inverse_frequencies(dim // 2, theta). Column first.

Hint 2: stack([columns[:, None] * f, rows[:, None] * f], dim=-1) is (P, dim/4, 2); flatten(1) makes the axes take turns.

Why: Both axes get the whole range of speeds. The order (column first, taking turns) is fixed by the released weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.rope import inverse_frequencies, patch_coordinates, rotary_1d, rotary_2d

wrong = Wrongs()


def table_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[2, 3]]), 8), (torch.tensor([[3, 2], [1, 5 + seed]]), 12)]


@wrong("row first", "Pair 0 turns with the column, pair 1 with the row. Swap them in the stack.")
def row_first(grid_hws: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    cos, sin = (t.unflatten(-1, (-1, 2)).flip(-1).flatten(-2) for t in rotary_2d(grid_hws, dim))
    return cos, sin


@wrong(
    "axes in blocks",
    "All column pairs stand before all row pairs: that is cat. The axes take turns: stack on a last axis, flatten.",
)
def axes_in_blocks(grid_hws: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    cos, sin = (t.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2) for t in rotary_2d(grid_hws, dim))
    return cos, sin


@wrong(
    "one position per patch",
    "This numbers the patches like words, so a neighbour below is w steps away. A patch has a row and a column.",
)
def one_dimension(grid_hws: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    positions = torch.cat([torch.arange(h * w) for h, w in grid_hws.tolist()])
    return rotary_1d(positions, dim, 10000.0)


@wrong(
    "frequencies of the full width",
    "Each axis has dim/4 pairs and uses the frequencies of width dim // 2, down to almost 1/theta.",
)
def too_slow(grid_hws: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    frequencies = inverse_frequencies(dim, 10000.0)[: dim // 4]
    rows, columns = patch_coordinates(grid_hws)
    angles = torch.stack([columns[:, None] * frequencies, rows[:, None] * frequencies], dim=-1).flatten(1)
    return angles.cos(), angles.sin()


EXERCISE = Exercise(**words(__doc__), solution=rotary_2d, cases=table_cases, wrong=wrong)
