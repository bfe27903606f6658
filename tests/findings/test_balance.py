"""Experts balanced by a bias: the verdict."""

from finding_checks import check_verdict

from minikimi.findings import balance
from minikimi.findings.finding import Measurement

SHOWN: Measurement = {
    "steps": [1],
    "with": [0.2],
    "without": [1.0],
    "final_with": 0.2,
    "final_without": 1.0,
    "loss_with": 1.0,
    "loss_without": 1.0,
}
TURNED: list[Measurement] = [
    {"final_with": 1.0, "final_without": 0.2},
    {"final_with": 0.51},  # better, and not by half
]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(balance.judge, SHOWN, TURNED)
