"""Exercise 1.5: Pack images of all sizes (difficulty 2, 3 minutes)

Hint 1: patchify each image, collect patches and grids, join the patches along the first axis.

Hint 2: torch.cat of the patches; torch.tensor of the grids, dtype=torch.int64, shape (N, 2).

Why: cat, not stack: images of different sizes have different numbers of patches, and a patch is all they share.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.patches import pack_images, patchify

wrong = Wrongs()


def images_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    sizes = [(4, 6), (2, 8), (6, 2 + 2 * seed)]
    images = [numbers(seed + i, 3, *size, dtype=dtype) for i, size in enumerate(sizes)]
    return [(images, 2), (images[::-1][:2], 2)]


@wrong("grids in pixels", "The grid counts patches, so that h * w is how many there are.")
def grids_in_pixels(images: list[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    patches, grids = pack_images(images, patch_size)
    return patches, grids * patch_size


@wrong("grids as (w, h)", "patchify returns (h, w): keep this order in the tensor.")
def grids_swapped(images: list[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    patches, grids = pack_images(images, patch_size)
    return patches, grids.flip(1)


@wrong(
    "only the number of patches",
    "Keep h and w apart: 4 x 6 and 6 x 4 have the same number of patches, and are different pictures.",
)
def grids_as_counts(images: list[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    patches, grids = pack_images(images, patch_size)
    return patches, grids.prod(dim=1)


@wrong(
    "cut to the shortest",
    "torch.stack wants equal lengths, so this throws patches away. torch.cat takes them as they are.",
)
def cut_to_the_shortest(images: list[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    pairs = [patchify(image, patch_size) for image in images]
    shortest = min(len(patches) for patches, _ in pairs)
    return torch.stack([patches[:shortest] for patches, _ in pairs]), torch.tensor([grid for _, grid in pairs])


EXERCISE = Exercise(**words(__doc__), solution=pack_images, cases=images_cases, dtypes=BOTH, wrong=wrong)
