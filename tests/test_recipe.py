"""The whole recipe: what is done before and after a stage, and what a finished run holds."""

import json
from pathlib import Path

import pytest

from minikimi.configs import presets
from minikimi.data.solutions import Solutions
from minikimi.errors import UserError
from minikimi.recipe import AFTER, BEFORE, Rejection, gain, scores, warm_up
from minikimi.training.run import Visit
from minikimi.training.stages import ROWS, STAGES
from minikimi.world import TASKS


def test_every_name_in_the_table_is_something_to_do() -> None:
    assert {name for stage in ROWS for name in stage.before} == set(BEFORE)
    assert {name for stage in ROWS for name in stage.after} == set(AFTER)


def test_settings_of_the_warm_up_set_are_read_for_all_presets() -> None:
    for preset in presets():
        wanted = Rejection.of(preset)
        assert wanted.problems > 0 and wanted.samples > 0 and set(wanted.tasks) <= set(TASKS)


def test_a_warm_up_set_that_is_there_or_named_is_not_made_again(tmp_path: Path) -> None:
    visit = Visit("nano", "longcot", tmp_path, None)
    with pytest.raises(UserError, match="longcot starts from a fine-tuned model: add --from"):
        warm_up(visit)
    (tmp_path / "solutions.jsonl").touch()
    assert warm_up(visit) == (f"--data.solutions={tmp_path / 'solutions.jsonl'}",)
    assert warm_up(Visit("nano", "longcot", tmp_path, None, ["--data.solutions=mine.jsonl"])) == ()


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    """The directory holds no model: looking for it would raise."""
    visit = Visit("nano", "rl", tmp_path, "nowhere")
    for measure, file in ((scores, "scores.json"), (gain, "gain.json")):
        with pytest.raises((UserError, OSError)):
            measure(visit)
        (tmp_path / file).write_text("{}")
        measure(visit)
        assert (tmp_path / file).read_text() == "{}"


@pytest.mark.slow
def test_scores_stand_beside_every_model_that_can_be_asked(nano_run: Path) -> None:
    for name, stage in STAGES.items():
        path = nano_run / name / "scores.json"
        assert path.is_file() == (stage.asked_as is not None), name
        if path.is_file():
            found = json.loads(path.read_text())
            assert found["form"] == stage.asked_as and len(found["benchmarks"]) == 7


@pytest.mark.slow
def test_the_warm_up_set_is_verified(nano_run: Path) -> None:
    """Every solution of the file ends with the answer of the sample that is drawn again from its number."""
    solutions = Solutions(nano_run / "longcot" / "solutions.jsonl")
    wanted = Rejection.of("nano")
    assert len(solutions) >= wanted.annotated * len(wanted.tasks)
    for i in range(len(solutions)):
        sample = solutions[i]
        assert sample.solution and sample.solution.split()[-1].removesuffix(".") == sample.answer


@pytest.mark.slow
def test_a_finished_run_has_evaluation_and_report(nano_run: Path) -> None:
    result = json.loads((nano_run / "evaluation.json").read_text())
    assert set(result["stages"]) == set(STAGES)
    assert all(0 <= task["score"] <= 1 and task["n"] == 4 for task in result["tasks"].values())
    page = (nano_run / "report.html").read_text()
    assert "OpenMoji" in page and len(result["samples"]) == 12
    assert (nano_run / "rl" / "gain.json").is_file()
