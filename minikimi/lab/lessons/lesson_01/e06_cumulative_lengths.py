"""Exercise 1.6: Bounds of segments (difficulty 1, 2 minutes)

Hint 1: A running sum, with a 0 in front: S lengths have S + 1 bounds.

Hint 2: torch.cat of one int32 zero and lengths.cumsum(0, dtype=torch.int32).

Why: With the leading 0, segment s is x[cu[s]:cu[s + 1]] for every s, without a special case. Kernels want int32.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.patches import cumulative_lengths

wrong = Wrongs()


def length_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([4, 6, 2 + seed]),), (torch.tensor([5]),)]


@wrong("without the leading zero", "S segments need S + 1 bounds: the first starts at 0. Put a zero in front.")
def without_zero(lengths: Tensor) -> Tensor:
    return cumulative_lengths(lengths)[1:]


@wrong("starts without the end", "The last segment needs an end: the total belongs to the bounds too.")
def starts_only(lengths: Tensor) -> Tensor:
    return cumulative_lengths(lengths)[:-1]


@wrong("int64", "The kernels for packed attention read 32-bit bounds: dtype=torch.int32.")
def as_int64(lengths: Tensor) -> Tensor:
    return cumulative_lengths(lengths).long()


@wrong("ends that are included", "An end is the next start, as in Python slices; do not subtract 1.")
def inclusive_ends(lengths: Tensor) -> Tensor:
    bounds = cumulative_lengths(lengths)
    return torch.cat([bounds[:1], bounds[1:] - 1])


EXERCISE = Exercise(**words(__doc__), solution=cumulative_lengths, cases=length_cases, wrong=wrong)
