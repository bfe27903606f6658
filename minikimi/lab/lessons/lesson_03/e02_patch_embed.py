"""Exercise 3.2: The patch embedding (difficulty 2, 4 minutes)

Hint 1: A patch fills the kernel exactly, so the convolution is one dot product per channel: flatten both and multiply.

Hint 2: F.linear(pixel_values.flatten(1), self.proj.weight.flatten(1), self.proj.bias), then add the positions in x's
dtype.

Why: Kernel and stride equal the patch: nothing overlaps. As a matrix product it is one large, fast operation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import BOTH, filled, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_03.shared import SMALL
from minikimi.model.moonvit import PatchEmbed

wrong = Wrongs()


def embed_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    grids = [torch.tensor([[2, 4], [4, 2]]), torch.tensor([[2, 2 + 2 * seed]])]
    return [(numbers(seed, int(g.prod(dim=1).sum()), 3, 2, 2, dtype=dtype), g) for g in grids]


def run_embed(cls, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
    return filled(cls, SMALL, dtype=pixel_values.dtype)(pixel_values, grid_hws)


@wrong("bias forgotten", "The released projection has a bias: self.proj.bias.")
class EmbedWithoutBias(PatchEmbed):
    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        return super().forward(pixel_values, grid_hws) - self.proj.bias


@wrong("positions forgotten", "The learned table is added here, once, before the first block.")
class EmbedWithoutPositions(PatchEmbed):
    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        return F.linear(pixel_values.flatten(1), self.proj.weight.flatten(1), self.proj.bias)


@wrong(
    "channels last",
    "Weights lie as (D, 3, p, p) and patches as (P, 3, p, p): flatten both as they are, without permute.",
)
class EmbedChannelsLast(PatchEmbed):
    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        pixels = pixel_values.permute(0, 2, 3, 1).reshape(pixel_values.shape)
        return super().forward(pixels, grid_hws)


@wrong(
    "positions of one long row",
    "Give the table the real grids: patch 5 of a 2 x 4 picture stands in its second row.",
)
class EmbedOneRow(PatchEmbed):
    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        return super().forward(pixel_values, torch.tensor([[1, len(pixel_values)]]))


EXERCISE = Exercise(**words(__doc__), solution=PatchEmbed, cases=embed_cases, run=run_embed, dtypes=BOTH, wrong=wrong)
