"""Exercise 4.2: Which block, which place (difficulty 2, 4 minutes)

Hint 1: Integer division says which block, the remainder says where inside. A row of blocks holds width / 2 of them.

Hint 2: block = (row // 2) * (width // 2) + column // 2; place = (row % 2) * 2 + column % 2.

Why: Blocks are in raster order, and so are the four places in a block: the same rule at two scales.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def block_and_place(row: int, column: int, width: int) -> tuple[int, int]:
    """The patch at (row, column) of a grid `width` patches wide: the number of its 2 x 2 block, its place in there."""
    return (row // 2) * (width // 2) + column // 2, (row % 2) * 2 + column % 2


def place_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(row, column, 6 + 2 * seed) for row in range(4) for column in range(6)]


@wrong(
    "width counted in patches",
    "A row of blocks has width // 2 blocks, so block numbers grow by width // 2 from row to row.",
)
def block_full_width(row: int, column: int, width: int) -> tuple[int, int]:
    return (row // 2) * width + column // 2, (row % 2) * 2 + column % 2


@wrong(
    "places down the column first",
    "Inside a block the order is (0,0), (0,1), (1,0), (1,1): the column changes first.",
)
def place_by_column(row: int, column: int, width: int) -> tuple[int, int]:
    return block_and_place(row, column, width)[0], (column % 2) * 2 + row % 2


@wrong("four in a row", "This joins four patches of one row. A block is two patches wide and two high.")
def four_in_a_row(row: int, column: int, width: int) -> tuple[int, int]:
    return divmod(row * width + column, 4)


EXERCISE = Exercise(**words(__doc__), solution=block_and_place, cases=place_cases, wrong=wrong)
