"""Needles at four times the length: the verdict, and what is asked and learnt."""

from finding_checks import check_verdict

from minikimi.findings import needle
from minikimi.findings.finding import Measurement
from minikimi.findings.texts import processor, world

SHOWN: Measurement = {"before": [95.0, 20.0], "after": [95.0, 94.0]}
TURNED: list[Measurement] = [
    {"before": [95.0, 94.0]},  # found before already
    {"after": [95.0, 20.0]},
]


def test_the_verdict_can_say_yes_and_no() -> None:
    check_verdict(needle.judge, SHOWN, TURNED)


def test_all_needles_are_asked_for_and_the_one_held_out_comes_last() -> None:
    sample = world(0, task="needle")[0]
    encoded = needle.all_asked(sample)
    learnt = [i for i in encoded.labels.tolist() if i >= 0]
    values = list(sample.facts["needles"].values())
    assert processor().decode(learnt) == "".join(f" {value}" for value in reversed(values))
    assert values[0] == sample.answer
    assert sample.facts["question"] not in processor().decode(encoded.input_ids.tolist())
