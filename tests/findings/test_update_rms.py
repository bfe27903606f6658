"""The size of Muon's update: the verdict, and the schedule's last factor."""

import pytest
from finding_checks import check_verdict

from minikimi.findings import update_rms
from minikimi.findings.finding import Measurement
from minikimi.findings.texts import as_text, batches, world

SHOWN: Measurement = {"losses": [3.5, 3.4, 3.3, 3.35, 3.5], "rms_muon": 0.19, "rms_adamw": 0.3, "by_matrix": [0.19]}
TURNED: list[Measurement] = [{"rms_muon": 0.1}, {"losses": [3.1, 3.2, 3.3, 3.4, 3.5]}]


def test_the_verdict_can_say_yes_and_no() -> None:
    # The rule speaks of a mean over the seeds, so one seed alone decides nothing.
    check_verdict(update_rms.judge, SHOWN, TURNED, each_seed=False)


def test_the_size_of_an_update_does_not_depend_on_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    data = batches(world(1), as_text, 2)
    sizes = []
    for rate in (1e-5, 1e-4):
        monkeypatch.setattr(update_rms, "LR", rate)
        sizes.append(update_rms.update_rms(1, data, "muon"))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)
    assert all(0.05 < size < 0.3 for size in sizes[0])
