"""Exercise 2.1: Frequencies (difficulty 1, 3 minutes)

Hint 1: One frequency per pair of channels: pair i = 0, 1, ..., dim/2 - 1 turns by theta ** (-2i/dim) per position.

Hint 2: 2i runs through 0, 2, 4, ..., dim - 2: torch.arange(0, dim, 2). Make it float32 before dividing by dim.

Why: A geometric row of speeds: the first pair tells neighbours apart, the last hardly turns over a whole document.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.model.rope import inverse_frequencies

wrong = Wrongs()


def frequency_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(8, 10000.0), (12, 100.0 + seed), (36, 800000.0)]


@wrong(
    "every channel counted, not every pair",
    "The exponent is -2i/dim for pair i, so it nearly reaches -1; yours stops near -1/2.",
)
def every_index(dim: int, theta: float) -> Tensor:
    return theta ** (-torch.arange(dim // 2, dtype=torch.float32) / dim)


@wrong("speeds that grow", "The exponent is negative: later pairs turn more slowly, not faster.")
def growing(dim: int, theta: float) -> Tensor:
    return theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)


@wrong(
    "both ends included",
    "The exponent runs up to -(dim - 2)/dim, not to -1: steps of 2/dim, and the end is left out.",
)
def end_included(dim: int, theta: float) -> Tensor:
    return theta ** -torch.linspace(0, 1, dim // 2)


def starts_at_one(run, dim: int, theta: float) -> None:
    f = run(dim, theta)
    if len(f) != dim // 2:
        raise Misfit(f"{dim} channels are {dim // 2} pairs, and each pair has one frequency; you return {len(f)}")
    if abs(float(f[0]) - 1) > 1e-6:
        raise Misfit(f"the first pair turns by 1 radian per position, yours by {float(f[0]):.3g}")


EXERCISE = Exercise(
    **words(__doc__), solution=inverse_frequencies, cases=frequency_cases, properties=(starts_at_one,), wrong=wrong
)
