"""Exercise 2.5: Row and column of every patch (difficulty 2, 5 minutes)

Hint 1: In raster order the column runs fastest. For each image: the row repeats w times, the column counts 0..w-1 again
and again.

Hint 2: arange(h).repeat_interleave(w) and arange(w).repeat(h), for each (h, w) in grid_hws.tolist(); then torch.cat.

Why: Grids are (height, width) everywhere in Kimi-VL; a square picture would hide every mistake made here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.rope import patch_coordinates

wrong = Wrongs()


def grid_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[2, 3]]),), (torch.tensor([[3, 2], [1, 4 + seed], [2, 2]]),)]


@wrong(
    "row and column swapped",
    "Return (rows, columns): in raster order it is the column that changes from patch to patch.",
)
def swapped_coordinates(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = patch_coordinates(grid_hws)
    return columns, rows


@wrong("height and width swapped", "A grid is (h, w): h rows, each of w patches.")
def sides_swapped(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    return patch_coordinates(grid_hws.flip(1))


@wrong("one image assumed", "Every image starts again at row 0, column 0, and has its own width. Loop over the grids.")
def one_image(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    index, w = torch.arange(int(grid_hws.prod(dim=1).sum())), int(grid_hws[0, 1])
    return index // w, index % w


@wrong("counting from one", "Positions start at 0, as in the released code.")
def from_one(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = patch_coordinates(grid_hws)
    return rows + 1, columns + 1


EXERCISE = Exercise(**words(__doc__), solution=patch_coordinates, cases=grid_cases, wrong=wrong)
