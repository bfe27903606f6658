"""The length reward: the verdict."""

from finding_checks import check_verdict

from minikimi.findings import length_penalty
from minikimi.findings.finding import Measurement

SHOWN: Measurement = {
    "with": [40.0, 20.0],
    "without": [40.0, 40.0],
    "tokens_with": 20.0,
    "tokens_without": 40.0,
    "right_with": 50.0,
    "right_without": 50.0,
}
TURNED: list[Measurement] = [
    {"tokens_with": 40.0},
    {"right_with": 40.0},  # shorter, but at a price
]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(length_penalty.judge, SHOWN, TURNED)
