"""Worked steps against direct answers: the verdict."""

from finding_checks import check_verdict

from minikimi.findings import cot
from minikimi.findings.finding import Measurement

SHOWN: Measurement = {"think": 80.0, "chat": 40.0}
TURNED: list[Measurement] = [
    {"think": 40.0, "chat": 80.0},
    {"think": 44.0},  # ahead, and not by 5 points
]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(cot.judge, SHOWN, TURNED)
