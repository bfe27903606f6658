"""Room for thinking: the verdict."""

from finding_checks import check_verdict

from minikimi.findings import test_time
from minikimi.findings.finding import Measurement

SHOWN: Measurement = {"right": [5.0, 10.0, 20.0, 40.0, 60.0, 70.0, 70.0], "thinking": 40.0}
TURNED: list[Measurement] = [{"right": [60.0] * 7}, {"right": [5.0, 10.0, 20.0, 70.0, 30.0, 70.0, 70.0]}]


def test_the_verdict_can_say_yes_and_no() -> None:
    # The rule speaks of a mean over the seeds, so one seed alone decides nothing.
    check_verdict(test_time.judge, SHOWN, TURNED, each_seed=False)
