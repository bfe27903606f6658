"""The seven mini-benchmarks: what a perfect and a careless model get, and how the means are taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripted_answers import MODEL, OPTIONS, PROCESSOR, clicking, knowing

from minikimi.answers import Verdict
from minikimi.evaluation import baselines, minis
from minikimi.evaluation.minis import BENCHMARKS, EXTRAS, MINI_TASKS, Outcome, graded, held_out, run_minis, tables
from minikimi.model.kimi_vl import KimiVL
from minikimi.report.score_table import results_table
from minikimi.sample import Sample
from minikimi.world import TASKS


@pytest.fixture
def perfect(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Outcome]]:
    monkeypatch.setattr(minis, "ask", knowing)
    monkeypatch.setattr(baselines, "ask", knowing)
    clicking(monkeypatch, lambda twin: twin.oracle())
    return run_minis(MODEL, PROCESSOR, OPTIONS)


def test_every_row_of_the_table_has_its_tasks_and_every_task_its_row() -> None:
    assert len({benchmark.name for benchmark in BENCHMARKS}) == len(BENCHMARKS)
    assert all(benchmark.tasks for benchmark in BENCHMARKS)
    rows = {*(benchmark.name for benchmark in BENCHMARKS), "extra", None}
    assert {task.benchmark for task in TASKS.values()} <= rows
    assert len({*MINI_TASKS, *EXTRAS}) == len(MINI_TASKS) + len(EXTRAS)
    assert {"arithmetic", "pages_long"} <= set(EXTRAS)


def test_a_perfect_model_gets_everything_and_nothing_blind(perfect: dict[str, list[Outcome]]) -> None:
    result = tables(perfect)
    for row in [*result["benchmarks"].values(), *result["tasks"].values(), result["mean"]]:
        assert row["score"] == 1 and row["blind"] == 0 and row["parse_failures"] == 0
        assert row["interval"] == pytest.approx([1, 1])
        assert row["prior"] < 0.6 and 0 <= row["chance"] < 0.5
    assert result["extras"]["arithmetic"]["blind"] is None  # it has no picture to hide
    assert result["mean"]["n"] == 6 * len(MINI_TASKS)
    assert set(result["benchmarks"]["maths"]["tasks"]) == {"chart", "sum", "count"}


def test_chance_is_the_expected_score_of_a_guess(perfect: dict[str, list[Outcome]]) -> None:
    rows = tables(perfect)["tasks"]
    assert rows["motion"]["chance"] == 1 / 4  # left, right, up, down
    assert rows["desktop"]["chance"] == 0
    shares = []
    for found in perfect["click"]:
        (left, top, right, bottom), (width, height) = found.sample.facts["box"], found.sample.images[0].size
        shares.append((right - left) * width * (bottom - top) * height / (width * height))
    assert rows["click"]["chance"] == pytest.approx(np.mean(shares)) and 0.01 < np.mean(shares) < 0.2
    for found in perfect["order"]:  # "What came first, the dog or the cat?" names two
        assert (found.chance == 1 / 2) is (" or the " in found.sample.question)
        assert (found.chance < 1 / 5) is (" or the " not in found.sample.question)
    means = [np.mean([rows["click"]["chance"], 0]), tables(perfect)["benchmarks"]["agent"]["chance"]]
    assert means[0] == pytest.approx(means[1])  # averaged as scores are


def outcome(task: str, right: bool) -> Outcome:
    sample = Sample("x", task, [{"role": "user", "content": "?"}], [], "a")
    verdict = Verdict("a" if right else None, right)
    return Outcome(sample=sample, output="a", verdict=verdict, blind=False, chance=0.25, prior=False, tokens=1)


def test_means_are_unweighted_over_tasks_and_then_over_benchmarks() -> None:
    """Only `chart` is right, with many more questions than the others: maths 1/3, the mean 1/21."""
    outcomes = {task: [outcome(task, False)] * 2 for task in (*MINI_TASKS, *EXTRAS)}
    outcomes["chart"] = [outcome("chart", True)] * 50
    result = tables(outcomes)
    assert result["benchmarks"]["maths"]["score"] == pytest.approx(1 / 3)
    assert result["mean"]["score"] == pytest.approx(1 / 21)
    assert result["mean"]["interval"] == pytest.approx([1 / 21, 1 / 21])
    assert result["mean"]["parse_failures"] == pytest.approx(20 / 21)
    printed = results_table(result | {"form": "chat"})
    assert printed.row_count == len(BENCHMARKS) + 1
    columns = {str(column.header): list(column.cells)[-1] for column in printed.columns}
    assert (columns["blind"], columns["chance"], columns["prior"]) == ("0 %", "25 %", "0 %")


def test_a_base_model_is_graded_by_the_last_sentence_of_its_first_line() -> None:
    sample = held_out("count", 1, 1)[0]
    written = f"cat 1, cat 2. {sample.answer}.\nWhere is the cat? left."
    assert graded(sample, written, "document").right and graded(sample, written, "told").right
    assert not graded(sample, written).right


def test_thinking_has_room_only_where_a_task_has_worked_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []

    def ask(*arguments: object) -> list[list[int]]:
        limits.append(arguments[3])
        return [[] for _ in arguments[2]]  # type: ignore[attr-defined]

    monkeypatch.setattr(minis, "ask", ask)
    for task in ("word", "count"):
        minis.run_task(task, MODEL, PROCESSOR, replace(OPTIONS, thinking_tokens=99), "chat", with_blind=False)
    assert limits == [OPTIONS.answer_tokens, OPTIONS.answer_tokens + 99]


def test_a_real_model_runs_in_all_forms() -> None:
    options = replace(OPTIONS, per_task=1, answer_tokens=4, thinking_tokens=4, prior_samples=3)
    model = KimiVL.from_preset("nano")
    for form in ("chat", "document", "told", "think"):
        result = tables(run_minis(model, PROCESSOR, options, form, with_blind=False))
        assert set(result["tasks"]) == set(MINI_TASKS) and result["mean"]["blind"] is None
