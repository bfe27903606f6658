"""Exercise 2.7: Resize the learned table (difficulty 3, 6 minutes)

Hint 1: F.interpolate wants (1, D, H0, W0): rearrange first, and back afterwards. mode="bicubic", align_corners=False.

Hint 2: rearrange "h w d -> 1 d h w" before, "1 d h w -> (h w) d" behind; skip it all when the grid fits.

Why: align_corners=False treats a position as the middle of a patch, so the picture keeps its borders at every size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.rope import interpolate_table

wrong = Wrongs()


def resize_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    table = numbers(seed, 4, 4, 3, dtype=dtype)
    return [(table, 6, 3), (table, 3, 7 + seed), (table, 4, 4)]


def _resize(table: Tensor, height: int, width: int, **how) -> Tensor:
    resized = F.interpolate(table.permute(2, 0, 1)[None], size=(height, width), **how)
    return resized[0].permute(1, 2, 0).flatten(0, 1)


@wrong(
    "corners aligned",
    "align_corners=True pins the outermost patch centres to each other; the released code does not.",
)
def corners_aligned(table: Tensor, height: int, width: int) -> Tensor:
    return _resize(table, height, width, mode="bicubic", align_corners=True)


@wrong("bilinear", "The released code resizes bicubically, and its weights were trained with that.")
def bilinear(table: Tensor, height: int, width: int) -> Tensor:
    return _resize(table, height, width, mode="bilinear", align_corners=False)


@wrong("height and width swapped", "size=(height, width): rows first, as in every tensor here.")
def width_by_height(table: Tensor, height: int, width: int) -> Tensor:
    return interpolate_table(table, width, height)


@wrong(
    "reshaped instead of permuted",
    "reshape does not move axes, it cuts the numbers up anew. Use permute to bring the channels to the front.",
)
def reshaped(table: Tensor, height: int, width: int) -> Tensor:
    side, _, dim = table.shape
    resized = F.interpolate(
        table.reshape(1, dim, side, side), size=(height, width), mode="bicubic", align_corners=False
    )
    return resized.reshape(height * width, dim)


EXERCISE = Exercise(**words(__doc__), solution=interpolate_table, cases=resize_cases, dtypes=BOTH, wrong=wrong)
