"""Exercise 1.11: FLOPs of a layer on packed images (difficulty 3, 5 minutes)

Hint 1: A matrix of A x B costs 2AB FLOPs a patch. Matrices: D x 3D, D x D, D x M, M x D. Attention: n^2 pairs per
image.

Hint 2: 2 * P * (4 D^2 + 2 D M), and for each image n x n scores and n x n weights times values: 4 * D * n^2.

Why: Heads share the width, so they cancel: H heads of width D/H cost D for a pair. Images add up, they do not multiply.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.config import VisionConfig

wrong = Wrongs()


def layer_flops(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    """FLOPs of one MoonViT layer on packed images: (all matrices, attention between patches)."""
    lengths, d, m = grid_hws.prod(dim=1), vision.hidden_size, vision.intermediate_size
    matrices = 2 * int(lengths.sum()) * (4 * d * d + 2 * d * m)  # wqkv 3 D², wo D², fc0 and fc1 D M each
    attention = 2 * 2 * d * int(lengths.square().sum())  # scores and weighted values, each over all heads
    return matrices, attention


def flops_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    small = VisionConfig(hidden_size=64, intermediate_size=200, num_attention_heads=4)
    grids = torch.tensor([[4, 6], [2, 10 + 2 * seed], [6, 2]])
    return [(grids, VisionConfig()), (grids, small), (torch.tensor([[64, 64]]), VisionConfig())]


@wrong(
    "one FLOP per multiplication",
    "By convention a multiplication and its addition are two FLOPs: multiply both numbers by 2.",
)
def one_flop_each(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    matrices, attention = layer_flops(grid_hws, vision)
    return matrices // 2, attention // 2


@wrong(
    "attention over the whole pack",
    "Patches meet inside their image only: the sum of n^2, not the square of the sum.",
)
def all_pairs(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    total = int(grid_hws.prod(dim=1).sum())
    return layer_flops(grid_hws, vision)[0], 4 * vision.hidden_size * total**2


@wrong(
    "heads multiply the cost",
    "H heads are each D/H wide: together a pair of patches costs D multiplications, whatever H is.",
)
def heads_multiply(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    matrices, attention = layer_flops(grid_hws, vision)
    return matrices, attention * vision.num_attention_heads


@wrong("scores without values", "Attention multiplies twice: queries with keys, then weights with values.")
def scores_only(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    matrices, attention = layer_flops(grid_hws, vision)
    return matrices, attention // 2


EXERCISE = Exercise(**words(__doc__), solution=layer_flops, cases=flops_cases, wrong=wrong)
