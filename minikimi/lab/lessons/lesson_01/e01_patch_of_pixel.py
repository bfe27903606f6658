"""Exercise 1.1: Which patch holds this pixel? (difficulty 1, 2 minutes)

Hint 1: y // patch_size is the row of the patch, x // patch_size its column. Raster order counts row by row.

Hint 2: index = row * (patches in a row) + column, and a row has width // patch_size patches; y % patch_size inside.

Why: A patch is a square of neighbouring pixels, and those lie far apart in memory: width numbers from row to row.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def patch_of_pixel(y: int, x: int, width: int, patch_size: int) -> tuple[int, int, int]:
    """Index of the patch that holds pixel (y, x), and the pixel's row and column inside it."""
    index = (y // patch_size) * (width // patch_size) + x // patch_size
    return index, y % patch_size, x % patch_size


def pixel_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Never on the diagonal, and never in the first row of patches: there all the wrong formulas agree.
    return [(20, 45, 84, 14), (3, 4, 6 + 2 * seed, 2), (29, 57 + seed, 98, 14)]


@wrong("row and column swapped", "y counts rows, x counts columns. The patch row is y // patch_size.")
def pixel_swapped(y: int, x: int, width: int, patch_size: int) -> tuple[int, int, int]:
    return patch_of_pixel(x, y, width, patch_size)


@wrong("width in pixels", "One row of patches holds width // patch_size patches, not width of them.")
def width_in_pixels(y: int, x: int, width: int, patch_size: int) -> tuple[int, int, int]:
    return (y // patch_size) * width + x // patch_size, y % patch_size, x % patch_size


@wrong(
    "memory cut in equal pieces",
    "This cuts memory into pieces of p * p numbers. A patch is a square: p pieces of p numbers each, a row apart.",
)
def memory_order(y: int, x: int, width: int, patch_size: int) -> tuple[int, int, int]:
    place, area = y * width + x, patch_size**2
    return place // area, place % area // patch_size, place % patch_size


EXERCISE = Exercise(**words(__doc__), solution=patch_of_pixel, cases=pixel_cases, wrong=wrong)
