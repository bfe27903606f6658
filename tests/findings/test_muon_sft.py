"""Muon in fine-tuning: the verdict."""

import pytest
from finding_checks import check_verdict

from minikimi.findings import muon_sft
from minikimi.findings.finding import Measurement

SHOWN: Measurement = {"muon_muon": 1.0, "muon_adamw": 1.1, "adamw_muon": 1.3, "adamw_adamw": 1.2}
TURNED: list[Measurement] = [
    {"muon_muon": 1.1, "muon_adamw": 1.0},
    {"adamw_muon": 1.1, "adamw_adamw": 1.2},  # helps after AdamW as well
]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(muon_sft.judge, SHOWN, TURNED)


def test_the_gains_are_what_muon_saves_in_each_row() -> None:
    numbers = muon_sft.judge([SHOWN]).numbers
    assert numbers == pytest.approx({"gain_after_muon": 0.1, "gain_after_adamw": -0.1})
