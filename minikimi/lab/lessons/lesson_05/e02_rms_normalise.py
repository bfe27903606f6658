"""Exercise 5.2: RMSNorm (difficulty 1, 4 minutes)

Hint 1: Square, mean over the last axis (keepdim), add eps, then the inverse root: torch.rsqrt.

Hint 2: normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps); cast to x.dtype, then times
weight.

Why: eps stands inside the root, beside a mean of squares: so 1e-6 means sizes of about 0.001.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def rms_normalise(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x (..., D) divided by its root mean square in float32, cast back to x's dtype, times weight (D,)."""
    normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


def norm_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Mean squares as small as eps, so that its place shows; a mean that is not 0; a weight that is not 1.
    weight = 1 + numbers(seed + 1, 8, size=0.3, dtype=dtype)
    return [
        (numbers(seed, 3, 8, size=3e-3, dtype=dtype) + 2e-3, weight, 1e-5),
        (numbers(seed + 2, 2, 3, 8, dtype=dtype) + 1, weight, 1e-6),
    ]


@wrong("eps outside the root", "eps is added to the mean square, inside the root, not to the root mean square itself.")
def eps_outside(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return (x.float() / (x.float().square().mean(-1, keepdim=True).sqrt() + eps)).to(x.dtype) * weight


@wrong("the mean removed", "That is LayerNorm. RMSNorm subtracts nothing, it only divides by the root mean square.")
def mean_removed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x.float(), x.shape[-1:], eps=eps).to(x.dtype) * weight


@wrong("sum instead of mean", "Divide by the root of the MEAN square, so that entries end near 1 whatever the width.")
def sum_for_mean(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return (x.float() * torch.rsqrt(x.float().square().sum(-1, keepdim=True) + eps)).to(x.dtype) * weight


@wrong("weight forgotten", "After the division each channel is multiplied by its own learnt weight.")
def weight_forgotten(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return rms_normalise(x, torch.ones_like(weight), eps)


EXERCISE = Exercise(**words(__doc__), solution=rms_normalise, cases=norm_cases, dtypes=BOTH, wrong=wrong)
