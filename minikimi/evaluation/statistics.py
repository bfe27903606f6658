"""From many right and wrong answers to a share with its interval (lesson 15)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def bootstrap(
    groups: Sequence[Sequence[float]], weights: Sequence[float] | None = None, draws: int = 1000, seed: int = 0
) -> list[float]:
    """95 % interval of a weighted mean (None: all alike) over groups of their means: quantiles over `draws` resamples,
    drawn within each group. One group gives the plain interval of a share.
    """
    rng = np.random.default_rng(seed)
    means = np.zeros(draws)
    for group, weight in zip(groups, weights or [1 / len(groups)] * len(groups), strict=True):
        values = np.asarray(group, dtype=float)
        means += weight * values[rng.integers(0, len(values), (draws, len(values)))].mean(axis=1)
    return [float(q) for q in np.quantile(means, [0.025, 0.975])]
