"""pass@k: unbiased, with intervals over problems."""

from itertools import combinations

import numpy as np
import pytest
from rl_toys import Letters, Questions
from tiny_models import tiny_model

from minikimi.rl.passk import PassRates, gain, pass_at_k, pass_rates
from minikimi.rl.rollout_settings import RolloutSettings


@pytest.mark.parametrize(("n", "c"), [(6, 0), (6, 1), (6, 3), (6, 6), (5, 4)])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_it_is_the_share_of_all_choices_with_a_correct_one(n: int, c: int, k: int) -> None:
    choices = [any(i < c for i in chosen) for chosen in combinations(range(n), k)]
    assert pass_at_k(n, c, k) == pytest.approx(np.mean(choices))


def test_unbiased() -> None:
    """Mean over binomial counts is 1 - (1 - p)^k, which the plug-in estimate misses by far."""
    p, n, k = 0.3, 8, 4
    counts = np.random.default_rng(0).binomial(n, p, 20_000)
    assert np.mean([pass_at_k(n, c, k) for c in counts]) == pytest.approx(1 - (1 - p) ** k, abs=0.01)
    assert abs(np.mean(1 - (1 - counts / n) ** k) - (1 - (1 - p) ** k)) > 0.02


def test_refusals() -> None:
    for n, c, k in ((4, 2, 5), (4, 2, 0), (4, 5, 1)):
        with pytest.raises(ValueError, match="need 1 <= k <= samples"):
            pass_at_k(n, c, k)


def test_gain_is_paired() -> None:
    """Every problem gains 1/4: the interval is that point, however much problems differ."""
    before, after = PassRates(4, [0, 1, 2, 3], [1.0] * 4), PassRates(4, [1, 2, 3, 4], [1.0] * 4)
    assert gain(before, after) == (0.25, 0.25, 0.25)
    assert before.pass_at(1) == 0.375 and before.pass_at(4) == 0.75


def test_sampling_counts_and_depends_on_the_key_alone() -> None:
    model, samples = tiny_model(0), [Questions()[i] for i in range(5)]
    settings = RolloutSettings(samples=4, max_new_tokens=6, rewards={"half": 1.0})

    def rates(key: int) -> PassRates:
        return pass_rates(model, Letters(), samples, settings, (key,))  # type: ignore[arg-type]

    assert rates(1) == rates(1) and rates(1) != rates(2)
    assert all(0 <= c <= 4 for c in rates(1).correct) and len(rates(1).tokens) == 5
