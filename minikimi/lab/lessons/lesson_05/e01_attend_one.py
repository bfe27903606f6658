"""Exercise 5.1: One query looks back (difficulty 1, 3 minutes)

Hint 1: Three steps: a score for each key (dot product times scale), softmax over the scores, a sum of values.

Hint 2: scores = [q @ key * scale for key in keys]; torch.stack(scores).softmax(0); then add weight * value.

Why: The new token needs every earlier key and value again, and only its own query. So keys and values are kept, queries
are not.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def attend_one(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """One query (d,) over the keys (L, d) and values (L, d_v) of one head: the weighted mean of the values, (d_v,)."""
    scores = torch.stack([q @ key * scale for key in keys])
    weights = scores.softmax(dim=0)
    out = torch.zeros_like(values[0])
    for weight, value in zip(weights, values, strict=True):
        out += weight * value
    return out


def one_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # The scale is not d^-1/2 and keys and values differ in width, as in MLA.
    return [
        (numbers(seed, 6), numbers(seed + 1, 4, 6), numbers(seed + 2, 4, 3), 0.3),
        (numbers(seed + 3, 4), numbers(seed + 4, 7, 4), numbers(seed + 5, 7, 5), 0.7),
    ]


@wrong(
    "scores without the scale",
    "Multiply every score by `scale` before the softmax; without it the weights become too sharp.",
)
def one_unscaled(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    return attend_one(q, keys, values, 1.0)


@wrong(
    "a scale of your own",
    "Use the `scale` that is passed in. In latent attention it is not the width of what you multiply.",
)
def one_root(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    return attend_one(q, keys, values, len(q) ** -0.5)


@wrong("no softmax", "Scores may be negative and do not sum to 1. Turn them into weights with a softmax first.")
def one_without_softmax(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    return (keys @ q * scale) @ values


@wrong("only the best key", "argmax takes one value; attention takes the mean of all values, weighted by the softmax.")
def one_best(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    return values[(keys @ q).argmax()]


def stays_between(run, q: Tensor, keys: Tensor, values: Tensor, scale: float) -> None:
    out = run(q, keys, values, scale)
    if out.shape == values[0].shape and bool((out > values.amax(0) + 1e-4).any() | (out < values.amin(0) - 1e-4).any()):
        raise Misfit("a weighted mean lies between the smallest and the largest value; yours does not")


EXERCISE = Exercise(**words(__doc__), solution=attend_one, cases=one_cases, properties=(stays_between,), wrong=wrong)
