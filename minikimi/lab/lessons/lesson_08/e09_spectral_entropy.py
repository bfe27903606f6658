"""Exercise 8.9: How evenly is a matrix used? (difficulty 2, 3 minutes)

Hint 1: Square the singular values, divide by their sum: shares p. Then -sum p log p, divided by log of their number.

Hint 2: p = s2 / s2.sum() with s2 = torch.linalg.svdvals(W).square(); -(p * p.log()).sum() / math.log(len(p)).

Why: Divided by log n it is 1 when all directions carry the same energy, whatever the size of the matrix.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def spectral_entropy(W: Tensor) -> Tensor:
    """How evenly a matrix uses its directions: 1 all alike, 0 one only. A scalar tensor."""
    energy = torch.linalg.svdvals(W).square()
    p = energy / energy.sum()
    return -(p * p.log()).sum() / math.log(len(p))


def spectrum_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(numbers(seed, 4, 6),), (numbers(seed, 8, 3) @ torch.diag(torch.tensor([3.0, 1.0, 0.3])),)]


@wrong("singular values not squared", "Shares are of the energy: singular values squared.")
def bare_singular_values(W: Tensor) -> Tensor:
    s = torch.linalg.svdvals(W)
    return -(s / s.sum() * (s / s.sum()).log()).sum() / math.log(len(s))


@wrong("not divided by log n", "Divide by log n, so that matrices of any size compare.")
def in_nats(W: Tensor) -> Tensor:
    return spectral_entropy(W) * math.log(min(W.shape))


@wrong("entropy of the entries", "Entries depend on the basis. Take the singular values: torch.linalg.svdvals(W).")
def over_entries(W: Tensor) -> Tensor:
    p = W.square().flatten() / W.square().sum()
    return -(p * p.log()).sum() / math.log(len(p))


@wrong("log of the larger side", "A matrix has min(A, B) singular values; n is their number.")
def over_larger_side(W: Tensor) -> Tensor:
    return in_nats.answer(W) / math.log(max(W.shape))


EXERCISE = Exercise(**words(__doc__), solution=spectral_entropy, cases=spectrum_cases, wrong=wrong)
