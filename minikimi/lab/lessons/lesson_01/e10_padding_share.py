"""Exercise 1.10: How much of a batch is padding? (difficulty 1, 3 minutes)

Hint 1: A padded batch has one row per image, each as long as the longest image. How many places are real?

Hint 2: lengths = grid_hws.prod(dim=1); 1 - lengths.sum() / (N * lengths.max()), as a float.

Why: One large image makes all rows long. The more sizes differ, the worse: real data differ very much.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def padding_share(grid_hws: Tensor) -> float:
    """Share of a padded batch (N, longest) that is padding."""
    lengths = grid_hws.prod(dim=1)
    return 1 - float(lengths.sum()) / (len(lengths) * int(lengths.max()))


def share_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[4, 6], [2, 10 + 2 * seed], [6, 2]]),), (torch.tensor([[16, 4], [2, 2]]),)]


@wrong("the real share", "This is the part that is used. Padding is the rest: 1 minus it.")
def real_share(grid_hws: Tensor) -> float:
    return 1 - padding_share(grid_hws)


@wrong(
    "longest height times longest width",
    "Rows of patches are padded, not pictures: the longest image, not a frame that holds all shapes.",
)
def longest_sides(grid_hws: Tensor) -> float:
    return 1 - float(grid_hws.prod(dim=1).sum()) / (len(grid_hws) * int(grid_hws.amax(dim=0).prod()))


@wrong("padding per real patch", "Divide by all places of the batch, not by the real ones.")
def padding_to_real(grid_hws: Tensor) -> float:
    lengths = grid_hws.prod(dim=1)
    return len(lengths) * int(lengths.max()) / float(lengths.sum()) - 1


EXERCISE = Exercise(**words(__doc__), solution=padding_share, cases=share_cases, wrong=wrong)
