"""The gain of reinforcement learning: the verdict."""

from finding_checks import check_verdict

from minikimi.findings import rl
from minikimi.findings.finding import Measurement

SHOWN: Measurement = {"before": 40.0, "after": 50.0, "gain": 10.0, "low": 6.0, "high": 14.0, "success": [40.0, 50.0]}
TURNED: list[Measurement] = [{"gain": 1.0, "low": -2.0}]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(rl.judge, SHOWN, TURNED)
