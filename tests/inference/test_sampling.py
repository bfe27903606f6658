"""Sampling: the statistics of temperature and top-p, and that what is reported is what was drawn from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from minikimi.inference.sampling import Sampling, choose, draw

ALLOWED = torch.zeros(4, dtype=torch.bool)
EVEN = (torch.arange(40_000, dtype=torch.float64) + 0.5) / 40_000


def chosen(temperature: float, top_p: float, logits: Tensor, uniform: Tensor, banned: Tensor = ALLOWED) -> tuple:
    n = len(uniform)
    return choose(logits.expand(n, -1), torch.full((n,), temperature), torch.full((n,), top_p), uniform, banned)


def frequencies(temperature: float, top_p: float, probs: list[float], banned: Tensor = ALLOWED) -> list[float]:
    """Of each id, for random numbers spread evenly; the reported log-probabilities must say the same."""
    ids, log_probs = chosen(temperature, top_p, torch.tensor(probs).log(), EVEN, banned)
    shares = torch.bincount(ids, minlength=len(probs)) / len(EVEN)
    torch.testing.assert_close(log_probs[0].exp(), shares, atol=2e-4, rtol=0)
    return shares.tolist()


def test_temperature_statistics() -> None:
    """At temperature 1 the probabilities themselves; at 1/2 their squares, renormalised. Unsorted on purpose."""
    assert frequencies(1.0, 1.0, [0.1, 0.5, 0.1, 0.3]) == pytest.approx([0.1, 0.5, 0.1, 0.3], abs=1e-4)
    assert frequencies(0.5, 1.0, [0.1, 0.5, 0.1, 0.3]) == pytest.approx([1 / 36, 25 / 36, 1 / 36, 9 / 36], abs=1e-4)


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    """Of .5 .3 .1 .1, mass .6 needs the first two (5/8, 3/8); mass .4 only the first; mass .5 exactly the first."""
    probs = [0.1, 0.5, 0.1, 0.3]
    assert frequencies(1.0, 0.6, probs) == pytest.approx([0, 5 / 8, 0, 3 / 8], abs=1e-4)
    assert frequencies(1.0, 0.4, probs) == [0, 1, 0, 0]
    assert frequencies(1.0, 1e-6, probs) == [0, 1, 0, 0]


def test_banned_ids_leave_their_mass_to_the_others() -> None:
    banned = torch.tensor([False, True, False, False])
    assert frequencies(1.0, 1.0, [0.1, 0.5, 0.1, 0.3], banned) == pytest.approx([0.2, 0, 0.2, 0.6], abs=1e-4)
    ids, _ = chosen(0.0, 1.0, torch.tensor([0.1, 0.5, 0.1, 0.3]).log(), EVEN[:1], banned)
    assert ids.tolist() == [3]


def test_each_row_has_its_own_way() -> None:
    """Greedy, cut and free rows in one batch; a greedy row reports temperature 1, whatever its random number."""
    logits = torch.tensor([0.1, 0.5, 0.1, 0.3]).log().expand(3, -1)
    ways = torch.tensor([0.0, 1.0, 1.0]), torch.tensor([0.1, 0.6, 1.0])
    ids, log_probs = choose(logits, *ways, torch.full((3,), 0.99, dtype=torch.float64), ALLOWED)
    assert ids.tolist() == [1, 3, 3]
    expected = torch.tensor([[0.1, 0.5, 0.1, 0.3], [0, 5 / 8, 0, 3 / 8], [0.1, 0.5, 0.1, 0.3]])
    torch.testing.assert_close(log_probs.exp(), expected)


def test_low_temperature_approaches_greedy() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    cold = choose(logits, torch.full((50,), 1e-4), torch.ones(50), EVEN[:50], ALLOWED)[0]
    assert torch.equal(cold, choose(logits, torch.zeros(50), torch.ones(50), EVEN[:50], ALLOWED, greedy=True)[0])


def test_draw_never_takes_the_impossible() -> None:
    """Not even at the ends of the interval."""
    log_probs = torch.tensor([0.0, 0.5, 0.2, 0.3, 0.0]).log()
    ends = torch.tensor([0.0, 1 - 1e-16, 1.0], dtype=torch.float64)
    assert draw(log_probs.expand(3, -1), ends).tolist() == [1, 3, 3]


def test_a_stream_goes_on_where_it_was_left() -> None:
    whole = Sampling(1.0, seed=(3, 5)).stream(0, 20)
    assert Sampling(1.0, seed=(3, 5)).stream(7, 13).tolist() == whole[7:].tolist()
    assert Sampling(1.0, seed=(3, 6)).stream(0, 1)[0] != whole[0]


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"temperature": float("nan")}, {"top_p": 0}, {"top_p": 1.1}])
def test_options_out_of_range(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"need >= 0 and \(0, 1\]"):
        Sampling(**wrong)
