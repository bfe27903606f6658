"""Muon against AdamW: the verdict, and the budget of equal loss."""

from finding_checks import check_verdict

from minikimi.findings import muon
from minikimi.findings.finding import Measurement

SHOWN: Measurement = {"share": 0.5, "lr_muon": 1e-2, "lr_adamw": 3e-3, "muon": [2.0, 1.5, 1.0, 0.9, 0.8], "adamw": 1.0}
TURNED: list[Measurement] = [
    {"share": 1.0},
    {"share": None},  # Muon never gets there
]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(muon.judge, SHOWN, TURNED)


def test_budget_at_equal_loss_lies_between_the_measured_ones() -> None:
    assert muon.equal_share([0.25, 0.5, 1.0], [3.0, 2.0, 1.0], 1.5) == 0.75
    assert muon.equal_share([0.25, 0.5, 1.0], [3.0, 2.0, 1.0], 5.0) == 0.25
    assert muon.equal_share([0.25, 0.5, 1.0], [3.0, 2.0, 1.0], 0.5) is None
