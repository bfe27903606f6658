"""Exercise 6.7: Measure imbalance (difficulty 1, 2 minutes)

Hint 1: Compare the busiest expert with the even share, which is the mean of the counts.

Hint 2: counts.max() / counts.float().mean() - 1, so that perfect balance gives 0.

Why: Experts live on different devices and all wait for the busiest one, so its excess is what balance costs in time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def max_violation(counts: Tensor) -> Tensor:
    """Tokens per expert (E,) to how far the busiest expert lies above the even share: 0 is perfect balance."""
    return counts.max() / counts.float().mean() - 1


def count_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # An idle expert lies further from the mean than the busiest one in the first case.
    return [(torch.tensor([10, 12 + seed, 0, 11]),), (torch.tensor([3, 40 + seed, 2, 1, 4]),)]


@wrong(
    "largest distance, up or down",
    "An idle expert delays nobody. Only the busiest counts: max, not the largest absolute difference.",
)
def largest_deviation(counts: Tensor) -> Tensor:
    return (counts.float() / counts.float().mean() - 1).abs().max()


@wrong("share of all tokens", "Divide by the even share, counts.mean(), not by the sum.")
def share_of_tokens(counts: Tensor) -> Tensor:
    return counts.max() / counts.float().sum()


@wrong("ratio without minus one", "Subtract 1: perfect balance is 0.")
def busiest_ratio(counts: Tensor) -> Tensor:
    return max_violation(counts) + 1


@wrong("busiest over idlest", "Compare with the mean; the minimum may be 0.")
def max_over_min(counts: Tensor) -> Tensor:
    return counts.max() / counts.float().min().clamp(min=1) - 1


EXERCISE = Exercise(**words(__doc__), solution=max_violation, cases=count_cases, wrong=wrong)
