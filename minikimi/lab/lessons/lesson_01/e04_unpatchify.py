"""Exercise 1.4: Put the image together again (difficulty 2, 3 minutes)

Hint 1: Walk back: (h w) c y x is what you have, c (h y) (w x) is what you want.

Hint 2: rearrange(patches, "(h w) c y x -> c (h y) (w x)", h=h, w=w): the pattern of 1.3, read backwards.

Why: An inverse is the best test there is: what goes there and back unchanged has lost nothing and moved nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.model.patches import patchify, unpatchify

wrong = Wrongs()


def unpatchify_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(numbers(seed, 6, 3, 2, 2, dtype=dtype), (2, 3)), (numbers(seed + 9, 4, 2, 3, 3, dtype=dtype), (4, 1))]


@wrong(
    "reshape alone",
    "The patches lie one after another; without permute each row of your image is made of whole patches.",
)
def back_by_reshape(patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    h, w = grid_hw
    _, channels, p, _ = patches.shape
    return patches.reshape(channels, h * p, w * p)


@wrong("grid read as (w, h)", "grid_hw is (h, w): h rows of w patches each.")
def back_with_sides_swapped(patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    return unpatchify(patches, (grid_hw[1], grid_hw[0]))


@wrong(
    "h and w side by side",
    "Each axis of the grid must stand next to its own p: (C, h, p, w, p), not (C, h, w, p, p).",
)
def back_without_rows(patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    side_by_side = patches.unflatten(0, grid_hw).movedim(2, 0)  # (C, h, w, p, p)
    return side_by_side.reshape(len(side_by_side), grid_hw[0] * patches.shape[-1], -1)


def there_and_back(run, patches: Tensor, grid_hw: tuple[int, int]) -> None:
    p = patches.shape[-1]
    image = run(patches, grid_hw)
    expected = (patches.shape[1], grid_hw[0] * p, grid_hw[1] * p)
    if tuple(image.shape) != expected:
        raise Misfit(f"a grid of {grid_hw[0]} x {grid_hw[1]} patches is an image of shape {expected}, not yours")
    again, _ = patchify(image, p)
    moved = int((again != patches).flatten(1).any(dim=1).sum())
    if moved:
        raise Misfit(f"cutting your image up again does not give the patches back: {moved} of {len(patches)} differ")


properties = (there_and_back,)
EXERCISE = Exercise(
    **words(__doc__), solution=unpatchify, cases=unpatchify_cases, properties=properties, dtypes=BOTH, wrong=wrong
)
