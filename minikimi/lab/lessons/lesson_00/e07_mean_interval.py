"""Exercise 0.7: How sure is a score? (difficulty 2, 3 minutes)

Hint 1: right[picks] is (draws, n): every row is one resampled examination. What is its score?

Hint 2: means = right[picks].mean(dim=1); then means.quantile(0.025) and means.quantile(0.975).

Why: Had we drawn other questions, the score would differ. Drawing again from our own answers shows by how much.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def mean_interval(right: Tensor, picks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Share of right answers (n,) and the ends of its 95 % interval over resamples `picks` (draws, n)."""
    means = right[picks].mean(dim=1)
    low, high = means.quantile(torch.tensor([0.025, 0.975]))
    return right.mean(), low, high


def answer_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Different numbers of answers and draws, and an even number of neither: a mean over the wrong axis shows.
    g = torch.Generator().manual_seed(seed)
    return [
        ((torch.rand(n, generator=g) < share).float(), torch.randint(n, (draws, n), generator=g))
        for n, share, draws in ((60, 0.7, 300), (37, 0.4, 500))
    ]


def mean_lies_inside(run: Callable, right: Tensor, picks: Tensor) -> None:
    mean, low, high = (float(number) for number in run(right, picks))
    if not low <= mean <= high:
        raise Misfit(f"the share {mean:.2f} does not lie in its own interval, {low:.2f} to {high:.2f}")


def holds_95_percent(run: Callable, right: Tensor, picks: Tensor) -> None:
    means = right[picks].mean(dim=1)
    mine, true = (
        100 * float(((low <= means) & (means <= high)).float().mean())
        for _, low, high in (run(right, picks), mean_interval(right, picks))
    )
    if abs(mine - true) > 0.5:
        raise Misfit(f"{mine:.0f} % of the drawn scores lie in your interval; here it should be {true:.0f} %")


def _interval(ends: Callable[[Tensor], tuple[Tensor, Tensor]], dim: int = 1):
    def answer(right: Tensor, picks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return right.mean(), *ends(right[picks].mean(dim=dim))

    return answer


def quantiles(low: float, high: float) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    return lambda means: (means.quantile(low), means.quantile(high))


def one_deviation(means: Tensor) -> tuple[Tensor, Tensor]:
    return means.mean() - means.std(), means.mean() + means.std()


@wrong(
    "quantiles of the answers",
    "Answers are only 0 or 1. Take the mean of each resample first, then the quantiles of these means.",
)
def answers_not_means(right: Tensor, picks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return right.mean(), right.quantile(0.025), right.quantile(0.975)


wrong.add(
    "lowest and highest",
    "The extremes grow with the number of draws. 95 % lie between the quantiles 0.025 and 0.975.",
    _interval(lambda means: (means.min(), means.max())),
)
wrong.add(
    "5 % on either side",
    "That leaves out 10 % in all. A 95 % interval leaves out 2.5 % on each side.",
    _interval(quantiles(0.05, 0.95)),
)
wrong.add(
    "one standard deviation",
    "One standard deviation to each side covers about 68 %. Take quantiles, which need no bell shape.",
    _interval(one_deviation),
)
wrong.add(
    "mean over the wrong axis",
    "dim=0 averages over the draws and nearly returns the same number n times. A score is a mean over n: dim=1.",
    _interval(quantiles(0.025, 0.975), dim=0),
)

properties = (mean_lies_inside, holds_95_percent)
EXERCISE = Exercise(**words(__doc__), solution=mean_interval, cases=answer_cases, properties=properties, wrong=wrong)
