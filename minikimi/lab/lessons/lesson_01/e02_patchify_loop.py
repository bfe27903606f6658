"""Exercise 1.2: Cut an image with two loops (difficulty 1, 3 minutes)

Hint 1: Outer loop over y in steps of patch_size, inner loop over x: this is raster order.

Hint 2: image[:, y : y + patch_size, x : x + patch_size] is one patch (C, p, p); torch.stack the list.

Why: Two loops and a slice: nobody can get lost here, so it is the reference for the fast version.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def patchify_loop(image: Tensor, patch_size: int) -> Tensor:
    """Cut an image (C, H, W) into patches (h*w, C, p, p), one slice at a time."""
    _, height, width = image.shape
    patches = []
    for y in range(0, height, patch_size):
        for x in range(0, width, patch_size):
            patches.append(image[:, y : y + patch_size, x : x + patch_size])
    return torch.stack(patches)


def loop_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Not square in patches, and p differs from C: an exchanged pair of axes cannot stay unseen.
    return [(numbers(seed, 3, 4, 6, dtype=dtype), 2), (numbers(seed + 9, 2, 9, 3, dtype=dtype), 3)]


@wrong(
    "column by column",
    "Your first patches go down the left edge. Raster order goes along the top edge first: x inside.",
)
def loop_columns(image: Tensor, patch_size: int) -> Tensor:
    p = patch_size
    _, height, width = image.shape
    return torch.stack([image[:, y : y + p, x : x + p] for x in range(0, width, p) for y in range(0, height, p)])


@wrong("overlapping patches", "Step by patch_size, not by 1: patches tile the image, they do not overlap.")
def loop_overlapping(image: Tensor, patch_size: int) -> Tensor:
    p = patch_size
    _, height, width = image.shape
    return torch.stack([image[:, y : y + p, x : x + p] for y in range(height - p + 1) for x in range(width - p + 1)])


@wrong(
    "cut in memory order",
    "reshape never moves a number. The pixels of one square do not lie side by side in memory.",
)
def loop_in_memory_order(image: Tensor, patch_size: int) -> Tensor:
    return image.reshape(-1, image.shape[0], patch_size, patch_size)


@wrong(
    "channels last",
    "A patch keeps the channels in front, (C, p, p): that is how the patch embedding's weights lie.",
)
def loop_channels_last(image: Tensor, patch_size: int) -> Tensor:
    return patchify_loop(image, patch_size).permute(0, 2, 3, 1).contiguous()


EXERCISE = Exercise(**words(__doc__), solution=patchify_loop, cases=loop_cases, dtypes=BOTH, wrong=wrong)
