"""Exercise 3.1: Positions for a packed batch (difficulty 2, 4 minutes)

Hint 1: interpolate_table(self.weight, h, w) gives the positions of one image; lay them one after another.

Hint 2: torch.cat of interpolate_table(self.weight, *grid) for each grid; equal grids may share one result, but each
image needs its rows.

Why: Resizing costs time, and a batch often holds equal grids: a dict makes each size once, the loop uses it often.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import filled
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.moonvit import PositionTable
from minikimi.model.rope import interpolate_table

wrong = Wrongs()


def table_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Two equal grids, one of them not next to the other; none is square; the last one fits the table.
    return [(torch.tensor([[2, 4], [4, 2], [2, 4]]),), (torch.tensor([[3, 2 + seed], [4, 5]]),)]


def run_table(cls, grid_hws: Tensor) -> Tensor:
    return filled(cls, 4, 5, 6)(grid_hws)


@wrong("height and width swapped", "A grid is (h, w), and interpolate_table takes height, then width.")
class TableSwapped(PositionTable):
    def forward(self, grid_hws: Tensor) -> Tensor:
        return super().forward(grid_hws.flip(1))


@wrong(
    "equal grids only once",
    "Resize once per size, but lay the rows down once per image: loop over all grids, not over the dict.",
)
class TableOncePerGrid(PositionTable):
    def forward(self, grid_hws: Tensor) -> Tensor:
        return super().forward(torch.tensor(list(dict.fromkeys(map(tuple, grid_hws.tolist())))))


@wrong("table cropped", "Do not cut a corner out of the table: the whole table is stretched over every picture.")
class TableCropped(PositionTable):
    def forward(self, grid_hws: Tensor) -> Tensor:
        return torch.cat([self.weight[:h, :w].flatten(0, 1) for h, w in grid_hws.tolist()])


@wrong(
    "the pack as one image",
    "Every image has positions of its own, with its own grid; the pack is not one long picture.",
)
class TableOfOneImage(PositionTable):
    def forward(self, grid_hws: Tensor) -> Tensor:
        return interpolate_table(self.weight, 1, int(grid_hws.prod(dim=1).sum()))


EXERCISE = Exercise(**words(__doc__), solution=PositionTable, cases=table_cases, run=run_table, wrong=wrong)
