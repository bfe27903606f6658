"""Exercise 2.3: Angles for text (difficulty 2, 4 minutes)

Hint 1: The angle of pair i at position p is p times frequency i: an outer product, (T, 1) times (dim/2,).

Hint 2: Use the positions you are given (in packed text they restart) and make them float32 first.

Why: Angles need float32: bfloat16 holds no odd number above 256, so it would merge neighbouring positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.rope import rotary_1d

wrong = Wrongs()


def position_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Positions that restart, as in packed text, and a large one, which bfloat16 cannot hold.
    return [(torch.tensor([0, 1, 2, 0, 1, 5 + seed]), 8, 10000.0), (torch.tensor([3, 1001 + seed]), 12, 500.0)]


@wrong(
    "row numbers instead of positions",
    "Packed text starts again at 0 with every document: use `positions`, not arange(len(positions)).",
)
def counts_rows(positions: Tensor, dim: int, theta: float) -> tuple[Tensor, Tensor]:
    return rotary_1d(torch.arange(len(positions)), dim, theta)


@wrong("sine and cosine swapped", "Return (cos, sin): at position 0 the cosine is 1 and the sine 0.")
def sine_first(positions: Tensor, dim: int, theta: float) -> tuple[Tensor, Tensor]:
    cos, sin = rotary_1d(positions, dim, theta)
    return sin, cos


@wrong("positions in bfloat16", "bfloat16 has 8 significant bits, so 1001 becomes 1000. Compute angles in float32.")
def bfloat16_positions(positions: Tensor, dim: int, theta: float) -> tuple[Tensor, Tensor]:
    return rotary_1d(positions.bfloat16(), dim, theta)


EXERCISE = Exercise(**words(__doc__), solution=rotary_1d, cases=position_cases, wrong=wrong)
