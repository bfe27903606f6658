"""Exercise 4.1: Count the tokens of a picture (difficulty 1, 2 minutes)

Hint 1: A grid of h x w patches holds h / kh rows of blocks and w / kw blocks in each.

Hint 2: (grid_hws[:, 0] // kh) * (grid_hws[:, 1] // kw), one number for each picture.

Why: A quarter of the patches: this is the number of places that a picture takes in the language model's context.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def token_counts(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    """Grids (N, 2) in patches to the number of tokens of each picture (N,), with blocks of kernel = (kh, kw)."""
    kh, kw = kernel
    return (grid_hws[:, 0] // kh) * (grid_hws[:, 1] // kw)


def count_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[4, 6], [2, 10 + 2 * seed]]), (2, 2)), (torch.tensor([[6, 8], [3, 4], [9, 2]]), (3, 2))]


@wrong("patches, not blocks", "That is h x w. A token is a whole block of kh x kw patches.")
def count_patches(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return grid_hws.prod(dim=1)


@wrong("only one side halved", "Blocks are kh patches high AND kw patches wide.")
def count_one_side(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return grid_hws.prod(dim=1) // kernel[0]


@wrong("all pictures together", "Return one count per picture, shape (N,): do not sum.")
def count_together(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return token_counts(grid_hws, kernel).sum()


EXERCISE = Exercise(**words(__doc__), solution=token_counts, cases=count_cases, wrong=wrong)
