"""Exercise 8.1: The quintic, on numbers (difficulty 1, 2 minutes)

Hint 1: Odd powers only: the first, the third and the fifth, each with its coefficient.

Hint 2: a, b, c = QUINTIC; return a * s + b * s**3 + c * s**5.

Why: An odd polynomial of a matrix acts on its singular values alone and leaves its directions as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.optim.newton_schulz import QUINTIC

wrong = Wrongs()


def quintic_step(s: Tensor) -> Tensor:
    """One step of the quintic on each number."""
    a, b, c = QUINTIC
    return a * s + b * s**3 + c * s**5


def singular_value_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [
        ((torch.tensor([0.01, 0.3, 0.9, 1.0]) / (1 + seed)).to(dtype),),
        (numbers(seed, 3, 4, dtype=dtype).sigmoid(),),
    ]


@wrong("even powers", "X X^T X has singular values s**3: only odd powers can be made.")
def even_powers(s: Tensor) -> Tensor:
    a, b, c = QUINTIC
    return a * s + b * s**2 + c * s**4


@wrong(
    "coefficients reversed",
    "a = 3.4445 is the coefficient of s itself: the slope at zero, which lifts small values fast.",
)
def coefficients_reversed(s: Tensor) -> Tensor:
    a, b, c = QUINTIC
    return c * s + b * s**3 + a * s**5


@wrong("the textbook cubic", "1.5 s - 0.5 s**3 converges exactly, but slowly. Muon uses the three numbers of QUINTIC.")
def cubic(s: Tensor) -> Tensor:
    return 1.5 * s - 0.5 * s**3


EXERCISE = Exercise(**words(__doc__), solution=quintic_step, cases=singular_value_cases, dtypes=BOTH, wrong=wrong)
