"""Exercise 3.8: How much attention goes astray? (difficulty 2, 4 minutes)

Hint 1: For image s, rows and columns cu[s] to cu[s + 1] are its own block. What is not in the block is foreign.

Hint 2: 1 - weights[:, a:b, a:b].sum(dim=-1).mean() for each pair of bounds (a, b); torch.stack them.

Why: Each query spends a total weight of 1, so the share that leaves the image is 1 minus what stays.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.patches import cumulative_lengths

wrong = Wrongs()


def foreign_share(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    """For each image, the attention it spends on other images: weights (H, P, P) and bounds (N + 1,) to (N,)."""
    bounds = cu_seqlens.tolist()
    own = [weights[:, a:b, a:b].sum(dim=-1).mean() for a, b in pairwise(bounds)]
    return 1 - torch.stack(own)


def weight_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    cases = []
    for lengths in ((3, 5), (4, 2, 3 + seed)):
        scores = 2 * numbers(seed + len(lengths), 2, sum(lengths), sum(lengths))
        cases.append((scores.softmax(dim=-1), cumulative_lengths(torch.tensor(lengths))))
    return cases


@wrong("the share that stays", "This is what stays in the image. Asked is what leaves it.")
def own_share(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    return 1 - foreign_share(weights, cu_seqlens)


@wrong(
    "attention received",
    "You sum over queries: what the image *receives* from others. Rows are queries, columns are keys.",
)
def received_share(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    bounds, out = cu_seqlens.tolist(), []
    for a, b in pairwise(bounds):
        out.append((weights[:, :, a:b].sum(dim=1) - weights[:, a:b, a:b].sum(dim=1)).mean())
    return torch.stack(out)


@wrong(
    "mean over keys too",
    "Sum over the keys of the block (a query spends 1 in all), then average over queries and heads.",
)
def mean_weight(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    bounds = cu_seqlens.tolist()
    return 1 - torch.stack([weights[:, a:b, a:b].mean() for a, b in pairwise(bounds)])


@wrong("one number for all", "One number for each image, (N,): short images suffer more.")
def one_number(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    share, lengths = foreign_share(weights, cu_seqlens), cu_seqlens.diff()
    return (share * lengths).sum() / lengths.sum()


EXERCISE = Exercise(**words(__doc__), solution=foreign_share, cases=weight_cases, wrong=wrong)
