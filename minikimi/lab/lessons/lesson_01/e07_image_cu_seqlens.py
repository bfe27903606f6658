"""Exercise 1.7: Where does each image start? (difficulty 1, 2 minutes)

Hint 1: How many patches has an image of h x w? You have just written the rest.

Hint 2: cumulative_lengths(grid_hws.prod(dim=1)).

Why: cu_seqlens is all that attention needs to know about images: their shapes matter only for positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.patches import cumulative_lengths, image_cu_seqlens

wrong = Wrongs()


def grids_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[4, 6], [2, 10 + 2 * seed], [6, 2]]),), (torch.tensor([[2, 6]]),)]


@wrong("sides added", "An image of h x w patches has h * w of them: prod, not sum.")
def sides_added(grid_hws: Tensor) -> Tensor:
    return cumulative_lengths(grid_hws.sum(dim=1))


@wrong(
    "tokens instead of patches",
    "The division by 4 comes later, in the projector. Inside MoonViT every patch is there.",
)
def after_the_merge(grid_hws: Tensor) -> Tensor:
    return cumulative_lengths(grid_hws.prod(dim=1) // 4)


@wrong("every row a segment", "A segment is an image, not a row of patches: a patch must see the rows above and below.")
def rows_as_segments(grid_hws: Tensor) -> Tensor:
    return cumulative_lengths(grid_hws[:, 1].repeat_interleave(grid_hws[:, 0]))


@wrong(
    "everything one segment",
    "With bounds 0 and P all images are one, and look at each other. One segment per image.",
)
def one_long_image(grid_hws: Tensor) -> Tensor:
    return image_cu_seqlens(grid_hws)[[0, -1]]


EXERCISE = Exercise(**words(__doc__), solution=image_cu_seqlens, cases=grids_cases, wrong=wrong)
