"""The findings by name: each loads, says what it claims, and has a verdict that is tested both ways."""

from pathlib import Path

import pytest

from minikimi.errors import UserError
from minikimi.findings.registry import NAMES, load


@pytest.mark.parametrize("name", NAMES)
def test_every_finding_says_what_it_claims_and_is_judged(name: str) -> None:
    finding = load(name)
    assert finding.name == name and "arXiv" in finding.source
    assert all((finding.title, finding.claim, finding.rule))
    tests = Path(__file__).with_name(f"test_{name}.py").read_text()
    assert f"check_verdict({name}.judge, SHOWN, TURNED" in tests


def test_no_finding_twice_and_an_unknown_one_is_guessed() -> None:
    assert len(set(NAMES)) == len(NAMES) == len({load(name).title for name in NAMES})
    with pytest.raises(UserError, match=r"unknown finding 'moun' \(did you mean muon"):
        load("moun")
