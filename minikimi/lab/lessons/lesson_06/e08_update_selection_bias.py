"""Exercise 6.8: Move the bias (difficulty 2, 5 minutes)

Hint 1: The sign of (mean - count): +1 for an expert with too few tokens, -1 for one with too many.

Hint 2: sign = (counts.float().mean() - counts.float()).sign(); add rate * (sign - sign.mean()) in place.

Why: A fixed step is robust: early counts are wild, and a step in proportion would throw the bias about. Without the
mean, all biases would drift together.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.model.moe import update_selection_bias

wrong = Wrongs()


def updated_bias(answer, router: SimpleNamespace, counts: Tensor, rate: float) -> Tensor:
    answer(router, counts, rate)
    return router.e_score_correction_bias


def update_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Unequal numbers of experts above and below the mean, and one exactly at it: the mean of the signs is not zero.
    bias = 0.01 * numbers(seed, 6)
    return [
        (SimpleNamespace(e_score_correction_bias=bias), torch.tensor([1, 2, 30, 3, 4, 8]), 0.01),
        (SimpleNamespace(e_score_correction_bias=bias[:4].clone()), torch.tensor([9, 9, 9, 1 + seed]), 0.02),
    ]


@wrong("the wrong way round", "Overloaded experts must lose bias. The sign is that of mean - count.")
def rich_get_richer(router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    update_selection_bias(router, counts, -rate)


@wrong("proportional to the excess", "Only the sign counts: every step is `rate`.")
def proportional(router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    error = counts.float().mean() - counts.float()
    router.e_score_correction_bias += rate * error


@wrong(
    "all biases drifting",
    "Subtract the mean of the signs: three idle experts and one busy one would lift the whole bias.",
)
def drifting(router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    router.e_score_correction_bias += rate * (counts.float().mean() - counts.float()).sign()


@wrong(
    "replaced instead of moved",
    "Add to the bias in place. It must remember all steps, like an integral controller.",
)
def replaced(router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    sign = (counts.float().mean() - counts.float()).sign()
    router.e_score_correction_bias.copy_(rate * (sign - sign.mean()))


def keeps_the_mean(run, router: SimpleNamespace, counts: Tensor, rate: float) -> None:
    before = float(router.e_score_correction_bias.mean())
    after = float(run(router, counts, rate).mean())
    if abs(after - before) > 1e-5:
        raise Misfit(f"an update must not move the mean of the bias; here it goes from {before:.5f} to {after:.5f}")


properties = (keeps_the_mean,)
EXERCISE = Exercise(
    **words(__doc__),
    solution=update_selection_bias,
    cases=update_cases,
    run=updated_bias,
    properties=properties,
    wrong=wrong,
)
