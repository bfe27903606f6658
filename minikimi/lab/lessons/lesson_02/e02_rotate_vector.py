"""Exercise 2.2: Turn a vector, pair by pair (difficulty 2, 5 minutes)

Hint 1: Pair i is (x[2i], x[2i+1]), two neighbours. Read both before you write either.

Hint 2: new a = a cos - b sin; new b = a sin + b cos: a rotation against the clock, as multiplying a + ib by e^(i
angle).

Why: A rotation keeps lengths, so position never makes a token louder: it only changes how two vectors agree.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def rotate_vector(x: Tensor, angles: Tensor) -> Tensor:
    """Turn pair i of x (d,), that is (x[2i], x[2i+1]), by angles[i]; returns a new (d,)."""
    out = torch.empty_like(x)
    for i, angle in enumerate(angles):
        a, b = x[2 * i], x[2 * i + 1]
        out[2 * i] = a * angle.cos() - b * angle.sin()
        out[2 * i + 1] = a * angle.sin() + b * angle.cos()
    return out


@wrong(
    "half-split pairs",
    "Kimi-VL pairs neighbours (0,1), (2,3), ...; pairing i with i + d/2 is the other convention (Llama, NeoX).",
)
def rotate_vector_halves(x: Tensor, angles: Tensor) -> Tensor:
    a, b = x.chunk(2)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()])


@wrong("turning backwards", "The sign of the sine: the minus belongs to the first component, a cos - b sin.")
def rotate_vector_back(x: Tensor, angles: Tensor) -> Tensor:
    return rotate_vector(x, -angles)


@wrong(
    "the first component overwritten too early",
    "When you compute the second component, the first has already changed. Keep a and b aside.",
)
def rotate_vector_in_place(x: Tensor, angles: Tensor) -> Tensor:
    out = x.clone()
    for i, angle in enumerate(angles):
        out[2 * i] = out[2 * i] * angle.cos() - out[2 * i + 1] * angle.sin()
        out[2 * i + 1] = out[2 * i] * angle.sin() + out[2 * i + 1] * angle.cos()
    return out


def vector_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(numbers(seed, 6, dtype=dtype), 3 * numbers(seed + 9, 3, dtype=dtype))]


def keeps_length(run, x: Tensor, angles: Tensor) -> None:
    before, after = float(x.float().norm()), float(run(x, angles).float().norm())
    if abs(before - after) > 0.02 * before:
        raise Misfit(f"turning must not change a vector's length, but {before:.3f} became {after:.3f}")


EXERCISE = Exercise(
    **words(__doc__), solution=rotate_vector, cases=vector_cases, properties=(keeps_length,), dtypes=BOTH, wrong=wrong
)
