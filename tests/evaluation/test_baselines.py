"""Three answers that cannot see: what is counted in training, and what hides the pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scripted_answers import MODEL, PROCESSOR

from minikimi.evaluation import baselines
from minikimi.evaluation.baselines import KnownAnswers, blind_answers, chance, known_answers, prior
from minikimi.sample import Sample
from minikimi.world import PictureWorld


def test_training_answers_are_counted_by_kind() -> None:
    """Five answers to one kind of question, three of them different; a kind that training never asks has none."""
    kinds = {"cat": "thing", "dog": "thing", "left": "place", "owl": "thing"}
    drawn = ["cat", "cat", "left", "dog", "owl", "cat"]
    world = [Sample("x", "where", [], [], answer, facts={"kind": kinds[answer]}) for answer in drawn]
    known = known_answers([*world, replace(world[0], answer="late")], 6)
    assert known == KnownAnswers({"thing": "cat", "place": "left"}, {"thing": 3, "place": 1})
    assert [chance(sample, known) for sample in (world[0], world[2])] == [1 / 3, 1]
    assert [prior(sample, known) for sample in world] == [True, True, True, False, False, True]
    unknown = replace(world[0], facts={"kind": "colour"})
    assert chance(unknown, known) == 0 and not prior(unknown, known)


def test_of_equally_common_answers_the_alphabetically_first_is_taken() -> None:
    world = [Sample("x", "where", [], [], answer) for answer in ("dog", "cat", "dog", "cat")]
    assert known_answers(world, 4).commonest == {"where": "cat"}


def test_the_prior_of_a_click_is_a_point_that_may_lie_in_the_box() -> None:
    sample = PictureWorld(0, "held_out", {"click": 1.0})[0]
    left, top, _, _ = sample.facts["box"]
    assert prior(sample, KnownAnswers({"click": f"click({left + 0.02:.2f}, {top + 0.02:.2f})"}, {}))
    assert not prior(sample, KnownAnswers({"click": "click(0.00, 0.00)"}, {}))


def test_only_what_has_pictures_is_asked_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*arguments: Any, blind: bool = False) -> list[list[int]]:
        return [[int(blind)] for _ in arguments[2]]

    monkeypatch.setattr(baselines, "ask", ask)
    for task, expected in (("count", [[1]] * 3), ("arithmetic", [None] * 3)):
        world = PictureWorld(0, "held_out", {task: 1.0})
        assert blind_answers(MODEL, PROCESSOR, [world[i] for i in range(3)], 4, "chat") == expected
