"""Exercise 0.5: How many tokens is a picture? (difficulty 2, 3 minutes)

Hint 1: Each side is padded up to a multiple of 28 px. 28 px are two patches, and one token is 2 x 2 patches.

Hint 2: rows = 2 * math.ceil(height / 28), columns = 2 * math.ceil(width / 28), tokens = rows * columns // 4.

Why: Padding up to 28 px loses nothing of the picture and lets patches merge 2 x 2. Cost follows the area: twice the
side is four times the tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def image_grid(width: int, height: int) -> tuple[int, int, int]:
    """Rows and columns of patches of a picture in px, padded to multiples of 28, and its image tokens."""
    rows, columns = 2 * math.ceil(height / 28), 2 * math.ceil(width / 28)
    return rows, columns, rows * columns // 4


def size_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Exact multiples, one px more, one px less, less than one token.
    return [(56, 28), (57, 28 + seed), (83, 139 + seed), (1920, 1080), (10, 20)]


def even_rows(run: Callable, width: int, height: int) -> None:
    rows, columns, _ = run(width, height)
    if rows % 2 or columns % 2:
        raise Misfit(f"{rows} x {columns} patches cannot be merged 2 x 2: both must be even")


def size_by_size(run: Callable, width: int, height: int) -> None:
    if tuple(result := run(width, height)) != (true := image_grid(width, height)):
        padded = f"{14 * true[1]} x {14 * true[0]} px"
        raise Misfit(f"a picture {width} wide and {height} high is padded to {padded}; you say {tuple(result)}")


@wrong("width and height swapped", "Rows come from the height, columns from the width, and rows are returned first.")
def sides_swapped(width: int, height: int) -> tuple[int, int, int]:
    return image_grid(height, width)


@wrong("cut off instead of padded", "Floor throws away up to 27 px at the edge. Padding rounds up: math.ceil.")
def floored(width: int, height: int) -> tuple[int, int, int]:
    rows, columns = 2 * (height // 28), 2 * (width // 28)
    return rows, columns, rows * columns // 4


@wrong(
    "padded to 14 px",
    "14 px is a patch, but tokens take patches 2 x 2: pad to 28 px, so that rows and columns are even.",
)
def padded_to_14(width: int, height: int) -> tuple[int, int, int]:
    rows, columns = math.ceil(height / 14), math.ceil(width / 14)
    return rows, columns, math.ceil(rows * columns / 4)


@wrong("one token for each patch", "The projector merges 2 x 2 patches into one token: divide by 4.")
def token_per_patch(width: int, height: int) -> tuple[int, int, int]:
    rows, columns, _ = image_grid(width, height)
    return rows, columns, rows * columns


@wrong("grid in tokens", "Rows and columns are asked in patches of 14 px, two for each 28 px.")
def grid_of_tokens(width: int, height: int) -> tuple[int, int, int]:
    rows, columns, tokens = image_grid(width, height)
    return rows // 2, columns // 2, tokens


EXERCISE = Exercise(
    **words(__doc__), solution=image_grid, cases=size_cases, properties=(even_rows, size_by_size), wrong=wrong
)
