"""Which conversations are kept to be shown: in the proportion of the whole, and many tasks."""

from pathlib import Path

import pytest

from minikimi.answers import Verdict
from minikimi.evaluation.gallery import choose, save_samples
from minikimi.evaluation.minis import Outcome
from minikimi.sample import Sample, question_and_answer
from minikimi.world import PictureWorld


def outcome(sample: Sample, right: bool) -> Outcome:
    verdict = Verdict("a", right)
    return Outcome(sample=sample, output="a", verdict=verdict, blind=None, chance=0.0, prior=False, tokens=1)


def outcomes(rights: dict[str, list[bool]]) -> dict[str, list[Outcome]]:
    sample = {task: Sample(task, task, question_and_answer("?", "a"), [], "a") for task in rights}
    return {task: [outcome(sample[task], right) for right in found] for task, found in rights.items()}


@pytest.mark.parametrize(
    ("right", "wrong", "failures"), [(50, 10, 2), (59, 1, 1), (60, 0, 0), (0, 60, 12), (1, 59, 11), (30, 30, 6)]
)
def test_right_and_wrong_stand_in_the_proportion_of_the_whole(right: int, wrong: int, failures: int) -> None:
    chosen = choose(outcomes({"a": [True] * right, "b": [False] * wrong}), 12)
    assert len(chosen) == 12 and sum(not o.verdict.right for o in chosen) == failures


def test_few_conversations_show_many_tasks() -> None:
    chosen = choose(outcomes({f"task {i}": [True, False] for i in range(12)}), 12)
    assert len({o.sample.task for o in chosen}) == 12


def test_samples_are_saved_beside_their_pictures(tmp_path: Path) -> None:
    found = {}
    for task in ("arithmetic", "count", "pages"):
        world = PictureWorld(0, "held_out", {task: 1.0})
        found[task] = [outcome(world[i], i % 2 == 0) for i in range(4)]
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "old.png").touch()
    shown = save_samples(tmp_path, found, 12)
    names = [name for entry in shown for name in entry["images"]]
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "samples").iterdir()) == sorted(names)
    assert all(entry["image"] == (entry["images"] or [""])[0] for entry in shown)
    assert shown[0]["image"] == "samples/00.png" and shown[0]["task"] == "count"
    assert {entry["task"]: entry["benchmark"] for entry in shown} == {
        "arithmetic": "extra", "count": "maths", "pages": "long documents"}  # fmt: skip
