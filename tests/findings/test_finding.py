"""What a finding is made of, and numbers over several seeds."""

import pytest

from minikimi.findings import muon, rl
from minikimi.findings.finding import Finding, average, column, span


def test_a_module_is_a_finding_with_or_without_preparation() -> None:
    found = Finding.of("muon", muon)
    assert (found.title, found.rule, found.judge) == (muon.TITLE, muon.RULE, muon.judge)
    assert found.prepare is muon.prepare and Finding.of("rl", rl).prepare is None


def test_numbers_over_the_seeds() -> None:
    seeds = [{"x": 1.0, "curve": [0.0, 4.0]}, {"x": 4.0, "curve": [2.0, 6.0]}]
    assert column(seeds, "x") == [1.0, 4.0]
    assert average(seeds, "x") == 2.5 and average(seeds, "curve") == [1.0, 5.0]
    assert span([1.0, 4.0, 1.0], 1) == "2.0 (1.0 to 4.0)"
    with pytest.raises(ValueError, match="longer"):
        average([{"curve": [1.0]}, {"curve": [1.0, 2.0]}], "curve")
