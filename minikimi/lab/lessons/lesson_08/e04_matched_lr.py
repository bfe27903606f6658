"""Exercise 8.4: Updates of one size (difficulty 2, 3 minutes)

Hint 1: An orthogonal matrix of A x B has a root mean square of 1 / sqrt(max(A, B)). Bring it to 0.2.

Hint 2: lr * 0.2 * math.sqrt(max(rows, columns)).

Why: AdamW's updates have a root mean square of about 0.2 to 0.4 times the rate. With the same size, Muon can share
AdamW's learning rate and decay.
"""

from __future__ import annotations

import math

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def matched_lr(lr: float, rows: int, columns: int) -> float:
    """The factor of the orthogonal matrix in an update."""
    return lr * 0.2 * math.sqrt(max(rows, columns))


def shape_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(1e-3, 2048, 1408), (2e-4 * (1 + seed), 16, 64), (1.0, 8, 8)]


@wrong(
    "the smaller side",
    "An A x B matrix has min(A, B) unit singular values among A B entries: rms = 1 / sqrt(max(A, B)).",
)
def smaller_side(lr: float, rows: int, columns: int) -> float:
    return lr * 0.2 * math.sqrt(min(rows, columns))


@wrong(
    "the original Muon's scale",
    "sqrt(max(1, A/B)) is the first Muon's factor; its updates then shrink as matrices grow.",
)
def original_scale(lr: float, rows: int, columns: int) -> float:
    return lr * math.sqrt(max(1, rows / columns))


@wrong("the Frobenius norm", "sqrt(A B) would fit a matrix of norm 1; an orthogonal one has norm sqrt(min(A, B)).")
def frobenius_scale(lr: float, rows: int, columns: int) -> float:
    return lr * 0.2 * math.sqrt(rows * columns)


@wrong("0.2 forgotten", "That makes the root mean square 1: five times AdamW's.")
def without_factor(lr: float, rows: int, columns: int) -> float:
    return lr * math.sqrt(max(rows, columns))


EXERCISE = Exercise(**words(__doc__), solution=matched_lr, cases=shape_cases, wrong=wrong)
