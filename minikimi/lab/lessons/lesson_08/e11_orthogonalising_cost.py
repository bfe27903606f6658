"""Exercise 8.11: What orthogonalising costs (difficulty 2, 3 minutes)

Hint 1: With n the smaller and m the larger side: X X^T is n x m by m x n, S S is n x n by n x n, P X is n x n by n x m.

Hint 2: steps * (n * n * m + n**3 + n * n * m), n, m = min(rows, columns), max(rows, columns).

Why: Because a tall matrix is transposed first, the Gram matrix is always the small one.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def orthogonalising_cost(rows: int, columns: int, steps: int) -> int:
    """Multiplications of Newton-Schulz on one matrix."""
    n, m = min(rows, columns), max(rows, columns)
    return steps * (n * n * m + n**3 + n * n * m)


def size_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(2048, 1408, 5), (64 + seed, 512, 3), (16, 16, 1)]


@wrong("sides taken as they come", "Tall matrices are transposed first, so n is the smaller side.")
def sides_taken_as_given(rows: int, columns: int, steps: int) -> int:
    return steps * (2 * rows * rows * columns + rows**3)


@wrong("S S forgotten", "There are three products a step: X X^T, S S and P X.")
def two_products(rows: int, columns: int, steps: int) -> int:
    n, m = min(rows, columns), max(rows, columns)
    return steps * 2 * n * n * m


@wrong("one step", "Multiply by the number of steps.")
def one_step_cost(rows: int, columns: int, steps: int) -> int:
    return orthogonalising_cost(rows, columns, 1)


@wrong("additions counted too", "Count multiplications only: n * k * m for a product.")
def additions_too(rows: int, columns: int, steps: int) -> int:
    return 2 * orthogonalising_cost(rows, columns, steps)


EXERCISE = Exercise(**words(__doc__), solution=orthogonalising_cost, cases=size_cases, wrong=wrong)
