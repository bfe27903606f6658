"""Exercise 4.6: The exact GELU (difficulty 1, 3 minutes)

Hint 1: GELU is x times the chance that a standard normal number is smaller than x.

Hint 2: That chance is (1 + erf(x / sqrt(2))) / 2, and torch has torch.erf.

Why: MoonViT's blocks use the tanh approximation, the projector the exact form. The weights were trained that way.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def exact_gelu(x: Tensor) -> Tensor:
    """x times the probability that a standard normal number lies below x."""
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def gelu_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Mostly negative: there the two GELUs differ most in proportion.
    return [(torch.linspace(-4 - seed, 0.5, 40),), (torch.tensor([[-2.2, -1.0, 0.0], [0.3, -3.0, -2.5]]),)]


@wrong(
    "the tanh approximation",
    "That is the one inside MoonViT. Near -2 it differs from the exact one by 1 % of its value.",
)
def tanh_gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


@wrong("the sigmoid approximation", "x * sigmoid(1.702 x) is a coarser stand-in (OpenAI's CLIP).")
def sigmoid_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


@wrong("root of two forgotten", "erf belongs to a normal of variance 1/2: divide x by the root of 2 first.")
def erf_without_root(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x))


EXERCISE = Exercise(**words(__doc__), solution=exact_gelu, cases=gelu_cases, wrong=wrong)
