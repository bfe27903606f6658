"""Exercise 8.2: Newton-Schulz (difficulty 3, 6 minutes)

Hint 1: First divide each matrix by its own Frobenius norm (plus EPS). Then repeat: S = X X^T, X = a X + (b S + c S S)
X.

Hint 2: X / (torch.linalg.matrix_norm(X, keepdim=True) + EPS); in the loop P = torch.baddbmm(S, S, S, beta=b, alpha=c),
X = torch.baddbmm(X, P, X, beta=a).

Why: The Frobenius norm is at least the largest singular value, so division brings all of them below 1, where the
quintic is tame.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_08.e01_quintic_step import quintic_step
from minikimi.optim.newton_schulz import QUINTIC, newton_schulz

wrong = Wrongs()


def matrix_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A stack of wide matrices of very different sizes, and a tall matrix: the scale must not matter, each is its own.
    # All are small: without the division the iteration stays finite, and so can be recognised.
    stack = numbers(seed, 2, 3, 6) * torch.tensor([1e-4, 0.2])[:, None, None]
    return [(stack, 5, torch.float32), (0.1 * numbers(seed + 1, 7, 3), 5, torch.float32)]


@wrong(
    "not divided by the norm",
    "The quintic blows up for singular values above about 1.3. Divide by the Frobenius norm first.",
)
def not_normalised(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    return _iterate(G, steps)


@wrong(
    "one norm for the whole stack",
    "Each matrix of a stack has a norm of its own: torch.linalg.matrix_norm(X, keepdim=True).",
)
def normalised_together(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    return _iterate(G / G.norm(), steps)


@wrong("a single step", "Repeat it `steps` times: small singular values grow 3.4-fold a step.")
def one_step_only(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    return newton_schulz(G, 1, dtype)


@wrong("entry by entry", "X**3 cubes entries. The matrix product X X^T X cubes singular values, which is what we want.")
def entry_by_entry(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    X = G / torch.linalg.matrix_norm(G, keepdim=True)
    for _ in range(steps):
        X = quintic_step(X)
    return X


@wrong(
    "exactly orthogonal",
    "A singular value decomposition is the goal of the iteration, but too slow on a GPU. Use products only.",
)
def exactly_orthogonal(G: Tensor, steps: int, dtype: torch.dtype) -> Tensor:
    U, _, Vh = torch.linalg.svd(G, full_matrices=False)
    return U @ Vh


def _iterate(X: Tensor, steps: int) -> Tensor:
    a, b, c = QUINTIC
    for _ in range(steps):
        S = X @ X.mT
        X = a * X + (b * S + c * S @ S) @ X
    return X


def flat_spectrum(run, G: Tensor, steps: int, dtype: torch.dtype) -> None:
    O = run(G, steps, dtype)  # noqa: E741 (the report's letter)
    if O.shape != G.shape:
        raise Misfit(f"a matrix keeps its shape: {tuple(G.shape)} became {tuple(O.shape)}; transpose tall ones back")
    s = torch.linalg.svdvals(O.float())
    if not bool(torch.isfinite(O).all()) or float(s.max()) > 1.6 or float(s.min()) < 0.3:
        raise Misfit("after five steps all singular values should lie near 1; yours do not")


EXERCISE = Exercise(
    **words(__doc__), solution=newton_schulz, cases=matrix_cases, properties=(flat_spectrum,), wrong=wrong
)
