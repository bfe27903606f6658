"""The registry of tasks, and what holds for every task in it: a new one is tested here without being named."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from world_checks import SPLITS, samples

from minikimi.errors import UserError
from minikimi.evaluation.baselines import chance, known_answers, prior
from minikimi.world import TASKS, PictureWorld, group_of, judged, tasks, tasks_of
from minikimi.world.tasks import READING_ORDER

EVERY_TASK = pytest.mark.parametrize("task", TASKS)
# One answer; a cross at either end of the title; a row of two, which has only left and right.
HARD = {"desktop.done": 1.0, "desktop.close": 0.65, "where.place": 0.55}


def few(task, n):
    """Fewer samples of the long ones."""
    return n // 10 if group_of(task) == "long" else n


def test_every_file_holds_the_task_of_its_name():
    files = {path.stem for path in Path(tasks.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(TASKS) and all(task.name == name for name, task in TASKS.items())
    assert list(TASKS)[: len(READING_ORDER)] == READING_ORDER


TOY = """
from minikimi.world.scene import Scene
from minikimi.world.task import Task

def draw(rng, held_out):
    return Scene(question="What is it?", answer="it", facts={"kind": "toy"})

TASK = Task(name="a_toy", draw=draw, group="words")
"""


def test_a_new_file_is_a_new_task_after_the_others(tmp_path, monkeypatch):
    (tmp_path / "a_toy.py").write_text(TOY)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    found = tasks._found()
    del sys.modules["minikimi.world.tasks.a_toy"], tasks.a_toy
    assert set(found) == {*TASKS, "a_toy"} and list(found).index("a_toy") >= len(READING_ORDER)
    assert found["a_toy"].draw(None, False).answer == "it"


def test_groups_part_the_tasks():
    assert {"arithmetic", "needle", "story"} <= set(tasks_of("words"))
    assert {"pages_long", "needle_512", "needle_2048"} <= set(tasks_of("long"))
    groups = dict.fromkeys(map(group_of, TASKS))
    assert sorted(task for group in groups for task in tasks_of(group)) == sorted(TASKS)
    with pytest.raises(UserError, match="'poem'"):
        group_of("poem")
    with pytest.raises(UserError, match=r"'poems'.*pictures"):
        tasks_of("poems")


@EVERY_TASK
def test_the_group_says_whether_there_are_pictures_and_how_long_it_is(task):
    drawn = samples(task, n=few(task, 30))
    images = {bool(sample.images) for sample in drawn}
    assert {"words": {False}, "pictures": {True}, "glyphs": {True}}.get(group_of(task), images) == images


@EVERY_TASK
def test_a_sample_is_whole(task):
    for split in SPLITS:
        for sample in samples(task, split, few(task, 60)):
            assert sample.task == task and sample.answer and sample.question
            assert len(sample.told) == len(sample.images) and bool(sample.caption) == bool(sample.images)
            assert all(image.mode == "RGB" for image in sample.images)
            assert not sample.solution or sample.solution.endswith(sample.answer)
            assert not (split == "held_out" and sample.more), "further questions would be trained on"
            assert [turn["role"] for turn in sample.messages] == ["user", "assistant"]
            assert sample.messages[-1]["content"] == sample.answer


@EVERY_TASK
def test_a_task_says_whether_it_has_worked_steps(task):
    assert any(sample.solution for sample in samples(task, n=few(task, 100))) == TASKS[task].thinks


@EVERY_TASK
def test_the_reference_answer_is_right_and_a_wrong_one_is_not(task):
    for sample in samples(task, "held_out", few(task, 40)):
        assert judged(sample, sample.answer).right and judged(sample, f"◁think▷so◁/think▷{sample.answer}").right
        assert not judged(sample, "no idea").right and not judged(sample, "").right


@EVERY_TASK
def test_whoever_does_not_look_stays_poor(task):
    known, hits, limits = known_answers(PictureWorld(6, tasks={task: 1.0}), few(task, 1000)), {}, {}
    for sample in samples(task, "held_out", few(task, 500), seed=6):
        guess = chance(sample, known)
        assert 0 <= guess <= 1
        limits[sample.kind] = HARD.get(sample.kind, max(0.4, guess + 0.15))
        hits.setdefault(sample.kind, []).append(prior(sample, known))
    shares = {kind: sum(right) / len(right) for kind, right in hits.items() if len(right) > 20}
    assert all(share <= limits[kind] for kind, share in shares.items()), shares


def test_data_from_elsewhere_is_judged_by_the_whole_answer():
    sample = replace(samples("click", n=1)[0], task="custom", answer="12", facts={"box": (0, 0, 1, 1)})
    assert judged(sample, "12").right and not judged(sample, "click(0.5, 0.5)").right
