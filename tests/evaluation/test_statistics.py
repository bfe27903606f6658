"""The bootstrap, against the normal interval, against itself with other seeds, and where it is known."""

from __future__ import annotations

import numpy as np
import pytest

from minikimi.evaluation.statistics import bootstrap


def test_bootstrap_of_one_share_is_the_binomial_interval() -> None:
    low, high = bootstrap([[1.0] * 60 + [0.0] * 40], draws=4000)
    spread = 1.96 * np.sqrt(0.6 * 0.4 / 100)
    assert low == pytest.approx(0.6 - spread, abs=0.015) and high == pytest.approx(0.6 + spread, abs=0.015)


def test_bootstrap_resamples_within_groups() -> None:
    """Two groups, all right and all wrong: nothing varies. Pooled resampling would say 0.35 to 0.65."""
    assert bootstrap([[1.0] * 20, [0.0] * 20]) == [0.5, 0.5]
    assert bootstrap([[1.0] * 20, [0.0] * 5], weights=[0.9, 0.1]) == pytest.approx([0.9, 0.9])


@pytest.mark.parametrize("place", [0, 9])
def test_bootstrap_draws_every_value(place: int) -> None:
    """One right answer of ten, first or last: the interval reaches beyond it, and the ten are drawn alike often."""
    values = [0.0] * 10
    values[place] = 1.0
    low, high = bootstrap([values])
    assert low == 0 and high == pytest.approx(0.3, abs=0.01)


def test_bootstrap_covers() -> None:
    """200 data sets of 60 values: the 95 % interval holds the true mean in about 95 % of them."""
    rng = np.random.default_rng(1)
    hits = 0
    for i in range(200):
        low, high = bootstrap([rng.random(60)], draws=500, seed=i)
        hits += low <= 0.5 <= high
    assert 175 <= hits <= 199


def test_bootstrap_depends_on_its_seed_alone() -> None:
    values = list(np.random.default_rng(2).random(40))
    assert bootstrap([values]) == bootstrap([values]) != bootstrap([values], seed=1)
    assert bootstrap([values], draws=500) != bootstrap([values])
