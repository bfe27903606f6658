"""Exercise 6.4: Where 2.446 comes from (difficulty 3, 5 minutes)

Hint 1: For each row: sigmoid, the top_k largest, divided by their sum; then one over the length of that vector.

Hint 2: p = top / top.sum(dim=-1, keepdim=True); (1 / p.norm(dim=-1)).mean(): invert each row, then average.

Why: Outputs of unrelated experts add like perpendicular vectors, so their weighted sum is |p| times as long as one of
them. The factor undoes that.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def mean_inverse_norm(logits: Tensor, top_k: int) -> Tensor:
    """Logits (T, E) to the mean over tokens of 1 / |p|, p the top-k sigmoids divided by their sum."""
    top = logits.sigmoid().topk(top_k, dim=-1).values
    p = top / top.sum(dim=-1, keepdim=True)
    return (1 / p.norm(dim=-1)).mean()


def logit_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Wide logits: the shares are uneven, so that the mean of the inverse is not the inverse of the mean.
    return [(3 * numbers(seed, 40, 5), 3), (4 * numbers(seed + 1, 30, 4), 2)]


@wrong("the inverse of the mean", "The mean of 1/|p| is not 1 over the mean of |p|. Invert each row first.")
def inverse_of_mean(logits: Tensor, top_k: int) -> Tensor:
    top = logits.sigmoid().topk(top_k, dim=-1).values
    return 1 / (top / top.sum(dim=-1, keepdim=True)).norm(dim=-1).mean()


@wrong("the shrinking itself", "That is how much the sum shrinks. The factor is its inverse, 1/|p|.")
def norm_itself(logits: Tensor, top_k: int) -> Tensor:
    top = logits.sigmoid().topk(top_k, dim=-1).values
    return (top / top.sum(dim=-1, keepdim=True)).norm(dim=-1).mean()


@wrong("scores without renormalising", "p are shares: divide the top sigmoids by their sum before taking the length.")
def bare_scores(logits: Tensor, top_k: int) -> Tensor:
    return (1 / logits.sigmoid().topk(top_k, dim=-1).values.norm(dim=-1)).mean()


@wrong("softmax instead of sigmoid", "The router has sigmoids: logits.sigmoid(), then topk, then divide by the sum.")
def softmax_shares(logits: Tensor, top_k: int) -> Tensor:
    return (1 / logits.topk(top_k, dim=-1).values.softmax(dim=-1).norm(dim=-1)).mean()


EXERCISE = Exercise(**words(__doc__), solution=mean_inverse_norm, cases=logit_cases, wrong=wrong)
