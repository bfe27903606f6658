"""Exercise 4.4: Group the patches (difficulty 2, 3 minutes)

Hint 1: The order says which patch comes next: index x with it, then cut the first axis into groups of kh * kw.

Hint 2: rearrange(x[merge_order(grid_hws, kernel).to(x.device)], "(m k) d -> m k d", k=kh * kw).

Why: Grouping keeps the four patches apart, (M, 4, D), so that the norm can still treat each by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.projector import merge_order, merge_patches

wrong = Wrongs()


def merge_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # As many channels as places in a block, so that swapped axes keep the shape.
    grids = [torch.tensor([[4, 6]]), torch.tensor([[2, 6], [4, 4 + 2 * seed]])]
    return [(numbers(seed + i, int(g.prod(dim=1).sum()), 4, dtype=dtype), g, (2, 2)) for i, g in enumerate(grids)]


@wrong("four in a row", "Put the patches in merge_order first, then group them.")
def merged_in_a_row(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return x.unflatten(0, (-1, kernel[0] * kernel[1]))


@wrong("the inverse order", "x[order] takes patch order[i] to place i. That is what you want; argsort would undo it.")
def merged_inverse(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return x[merge_order(grid_hws, kernel).argsort()].unflatten(0, (-1, kernel[0] * kernel[1]))


@wrong(
    "channels before places",
    "The block axis stands before the channels, (M, 4, D): that is the order of the released weights.",
)
def merged_unshuffle(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return merge_patches(x, grid_hws, kernel).transpose(1, 2)


@wrong("the mean of a block", "Averaging forgets which patch was where. Keep all four.")
def merged_mean(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return merge_patches(x, grid_hws, kernel).mean(dim=1)


EXERCISE = Exercise(**words(__doc__), solution=merge_patches, cases=merge_cases, dtypes=BOTH, wrong=wrong)
