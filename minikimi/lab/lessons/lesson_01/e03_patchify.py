"""Exercise 1.3: Cut an image without loops (difficulty 2, 5 minutes)

Hint 1: Name the five axes first: c (h y) (w x). Then ask in which order the patches want them: h w, c, y x.

Hint 2: rearrange(image, "c (h y) (w x) -> (h w) c y x", y=patch_size, x=patch_size); return (h, w) too.

Why: Split, move, join: every cut of an image is these three, and a pattern that names the axes says all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_01.e02_patchify_loop import loop_cases
from minikimi.model.patches import patchify

wrong = Wrongs()


def patchify_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return loop_cases(seed, dtype)


@wrong(
    "reshape alone",
    "Right shape, wrong pixels: reshape does not move anything. Split the axes, permute, then join.",
)
def only_reshaped(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    _, (h, w) = patchify(image, patch_size)
    return image.reshape(h * w, image.shape[0], patch_size, patch_size), (h, w)


@wrong(
    "patches column by column",
    "The patch row h must come before the patch column w: (h w), not (w h); in permute (1, 3, ...).",
)
def column_by_column(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    patches, (h, w) = patchify(image, patch_size)
    return patches.unflatten(0, (h, w)).transpose(0, 1).flatten(0, 1), (h, w)


@wrong("every patch mirrored", "Inside a patch rows come before columns: y x, not x y; a permutation ends in 2, 4.")
def mirrored_patches(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    patches, grid = patchify(image, patch_size)
    return patches.transpose(-1, -2), grid


@wrong("grid as (w, h)", "The patches are right, the grid is (h, w): rows first, always.")
def grid_swapped(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    patches, (h, w) = patchify(image, patch_size)
    return patches, (w, h)


EXERCISE = Exercise(**words(__doc__), solution=patchify, cases=patchify_cases, dtypes=BOTH, wrong=wrong)
