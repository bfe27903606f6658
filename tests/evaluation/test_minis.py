"""The seven mini-benchmarks: what a perfect, a blind and a careless model get, and how the means are taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minikimi.answers import Verdict
from minikimi.errors import UserError
from minikimi.evaluation import episodes, minis, needle_map
from minikimi.evaluation.gallery import save_samples
from minikimi.evaluation.minis import BENCHMARKS, EXTRAS, MINI_TASKS, Outcome, run_minis, tables
from minikimi.evaluation.settings import settings
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.report.score_table import results_table
from minikimi.sample import Sample
from minikimi.world.desktop import MAX_STEPS

PROCESSOR = Processor.small()
OPTIONS = replace(settings("nano"), per_task=6, prior_samples=40, answer_tokens=48)
MODEL: Any = None  # never asked: `ask` is replaced


def encoded(texts: list[str]) -> list[list[int]]:
    return [PROCESSOR.tokenizer.encode(text) for text in texts]


def knowing(model: Any, processor: Processor, samples: list[Sample], limit: int, form: str = "chat",
            blind: bool = False) -> list[list[int]]:  # fmt: skip
    """Answers of a model that knows everything, if it is shown the picture."""
    return encoded(["" if blind else sample.answer for sample in samples])


def clicking(monkeypatch: pytest.MonkeyPatch, choose_action: Any) -> list[int]:
    """Let the desktop be played by `choose_action(twin episode)`; returns the growing list of batch sizes."""
    twins: dict[str, Any] = {}
    sizes: list[int] = []

    def ask(model: Any, processor: Any, samples: list[Sample], limit: int, form: str, blind: bool) -> list[list[int]]:
        sizes.append(len(samples))
        said = []
        for sample in samples:
            _, seed, number = sample.id.split("-")
            twin = twins.setdefault(sample.id + str(blind), episodes.new_episode((int(seed), int(number))))
            assert sample.question == twin.prompt  # the model is told goal and history of its own episode
            action = "" if blind else choose_action(twin)
            said.append(action)
            twin.act(action)
        return encoded(said)

    monkeypatch.setattr(episodes, "ask", ask)
    return sizes


@pytest.fixture
def perfect(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Outcome]]:
    monkeypatch.setattr(minis, "ask", knowing)
    clicking(monkeypatch, lambda twin: twin.oracle())
    return run_minis(MODEL, PROCESSOR, OPTIONS)


def test_every_row_of_the_table_has_its_tasks() -> None:
    assert [b.name for b in BENCHMARKS] == [
        "knowledge", "general", "maths", "documents", "agent", "long documents", "video"]  # fmt: skip
    assert len(set(MINI_TASKS)) == len(MINI_TASKS) and not set(EXTRAS) & set(MINI_TASKS)
    minis.require([*MINI_TASKS, *EXTRAS])
    with pytest.raises(UserError, match="no task poem"):
        minis.require(["poem"])


def test_a_perfect_model_gets_everything_and_nothing_blind(perfect: dict[str, list[Outcome]]) -> None:
    result = tables(perfect)
    for row in [*result["benchmarks"].values(), *result["tasks"].values(), result["mean"]]:
        assert row["score"] == 1 and row["blind"] == 0 and row["parse_failures"] == 0
        assert row["interval"] == pytest.approx([1, 1])
        assert row["prior"] < 0.6 and 0 <= row["chance"] < 0.5
    assert result["extras"]["arithmetic"]["blind"] is None  # it has no picture to hide
    assert result["mean"]["n"] == 6 * len(MINI_TASKS)
    assert list(result["benchmarks"]["maths"]["tasks"]) == ["chart", "sum", "count"]


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


def test_chance_counts_the_different_answers_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five answers to one kind of question, three of them different; a kind that training never asks has none."""
    said = {"cat": "thing", "dog": "thing", "left": "place", "owl": "thing"}
    drawn = ["cat", "cat", "left", "dog", "owl", "cat"]
    world = [Sample("x", "where", [], [], answer, facts={"kind": said[answer]}) for answer in drawn]
    monkeypatch.setattr(minis, "PictureWorld", lambda *_: [*world, replace(world[0], answer="late")])
    prior, answers = minis.training_answers("where", 6)
    assert prior == {"thing": "cat", "place": "left"} and answers == {"thing": 3, "place": 1}
    assert [minis.chance_of(sample, answers) for sample in (world[0], world[2])] == [1 / 3, 1]
    assert minis.chance_of(replace(world[0], facts={"kind": "colour"}), answers) == 0


def outcome(task: str, right: bool) -> Outcome:
    sample = Sample("x", task, [{"role": "user", "content": "?"}], [], "a")
    return Outcome(sample, "a", Verdict("a" if right else None, right), False, 0.25, False, 1)


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


def test_the_desktop_counts_reached_goals_not_right_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that never says done() does everything right but the end, and runs into the step limit."""
    sizes = clicking(monkeypatch, lambda twin: "click(0.99, 0.99)" if twin.oracle() == "done()" else twin.oracle())
    games = episodes.play(MODEL, PROCESSOR, 5, 4, 48, "chat")
    assert not any(episodes.verdict(game).right for game in games)
    assert all(game.episode.steps == MAX_STEPS and len(game.log) == MAX_STEPS for game in games)
    assert sizes == [4] * MAX_STEPS  # all episodes advance together

    clicking(monkeypatch, lambda twin: twin.oracle())
    games = episodes.play(MODEL, PROCESSOR, 5, 4, 48, "chat")
    assert all(episodes.verdict(game).right for game in games)
    sample = episodes.told(games[0], (5, 0))
    assert len(sample.images) == len(games[0].log) and sample.answer.endswith("done()")


def test_an_answer_that_is_no_action_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clicking(monkeypatch, lambda twin: "I would click on the cat")
    game = episodes.play(MODEL, PROCESSOR, 5, 1, 48, "chat")[0]
    assert episodes.verdict(game) == Verdict(None, False)
    assert "malformed action" in game.log[0]


def test_a_real_model_runs_in_both_forms() -> None:
    options = replace(OPTIONS, per_task=1, answer_tokens=4, thinking_tokens=4, prior_samples=3)
    model = KimiVL.from_preset("nano")
    for form in ("chat", "document", "told", "think"):
        result = tables(run_minis(model, PROCESSOR, options, form, with_blind=False))
        assert set(result["tasks"]) == set(MINI_TASKS) and result["mean"]["blind"] is None


def test_needles_stand_where_the_map_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that reads only the first half of every text: recall is 1 at depth 0, 0 at depth 1, and the answer is
    that of the needle asked for.
    """

    def half_reading(model: Any, processor: Processor, samples: list[Sample], *_: Any) -> list[list[int]]:
        answers = []
        for sample in samples:
            half = sample.question[: len(sample.question) // 2]
            needle_text = f"The secret number of the {sample.facts['key']} is {sample.answer}."
            assert sample.question.count(needle_text) == 1
            answers.append(sample.answer if needle_text in half else "0")
        return encoded(answers)

    monkeypatch.setattr(needle_map, "ask", half_reading)
    options = replace(OPTIONS, needle_lengths=(256, 512, 100_000), needle_depths=3, needles_per_cell=5)
    found = needle_map.needle_map(KimiVL.from_preset("nano"), PROCESSOR, options)
    assert found["depths"] == [0.0, 0.5, 1.0]
    assert [[row[0], row[2]] for row in found["recall"][:2]] == [[1.0, 0.0], [1.0, 0.0]]
    assert found["recall"][2] == [None] * 3 and found["n"] == [[5] * 3, [5] * 3, [0] * 3]


def test_needle_texts_have_their_length() -> None:
    for sample in needle_map.needles(512, 0.5, 1, 4):
        assert 440 <= len(PROCESSOR.encode(sample.messages, []).input_ids) <= 512


def test_samples_are_saved_beside_their_pictures(tmp_path: Path, perfect: dict[str, list[Outcome]]) -> None:
    half = {task: [replace(o, verdict=Verdict("?", i % 2 == 0)) for i, o in enumerate(found)]
            for task, found in perfect.items()}  # fmt: skip
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "old.png").touch()
    shown = save_samples(tmp_path, half, 12)
    names = [name for entry in shown for name in entry["images"]]
    assert sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "samples").iterdir()) == sorted(names)
    assert all(entry["image"] == (entry["images"] or [""])[0] for entry in shown)
