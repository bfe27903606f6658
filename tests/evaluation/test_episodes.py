"""Whole episodes: reached goals count, not right actions."""

from __future__ import annotations

import pytest
from scripted_answers import MODEL, PROCESSOR, clicking

from minikimi.answers import Verdict
from minikimi.evaluation import episodes
from minikimi.world.desktop import MAX_STEPS


def test_the_desktop_counts_reached_goals_not_right_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that never says done() does everything right but the end, and runs into the step limit."""
    sizes = clicking(monkeypatch, lambda twin: "click(0.99, 0.99)" if twin.oracle() == "done()" else twin.oracle())
    games = episodes.play(MODEL, PROCESSOR, 5, 4, 48, "chat")
    assert not any(game.verdict.right for game in games)
    assert all(game.episode.steps == MAX_STEPS and len(game.log) == MAX_STEPS for game in games)
    assert sizes == [4] * MAX_STEPS  # all episodes advance together

    clicking(monkeypatch, lambda twin: twin.oracle())
    games = episodes.play(MODEL, PROCESSOR, 5, 4, 48, "chat")
    assert all(game.verdict.right for game in games)
    sample = games[0].as_sample()
    assert len(sample.images) == len(games[0].log) and sample.answer.endswith("done()")


def test_an_answer_that_is_no_action_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clicking(monkeypatch, lambda twin: "I would click on the cat")
    game = episodes.play(MODEL, PROCESSOR, 5, 1, 48, "chat")[0]
    assert game.verdict == Verdict(None, False)
    assert "malformed action" in game.log[0]


def test_a_base_model_acts_with_the_last_sentence_of_its_first_line() -> None:
    right = episodes.new_episode((5, 0)).oracle()
    for form, said in (("chat", right), ("document", f"window of cat, right. {right}.\nclick(0.10, 0.10).")):
        game = episodes.Game((5, 0))
        game.step(said, form, 7)
        assert game.episode.history == [right] and game.tokens == 7
    game = episodes.Game((5, 0))
    game.step(f"look. {right}", "chat", 7)
    assert game.episode.history == [], "after fine-tuning, the whole answer is the action"


def test_the_solution_reaches_the_goal_of_its_own_episode() -> None:
    for number in range(5):
        episode = episodes.new_episode((3, number))
        moment = episodes.Game((3, number)).moment()
        assert moment.question == episode.prompt and moment.images[0].tobytes() == episode.screenshot().tobytes()
        assert moment.told == [episode.screen.describe()] and moment.id == f"desktop-3-{number}"
        while not episode.done:
            episode.act(episode.oracle())
        assert ", ".join(episode.history) == episodes.solution((3, number)) and episode.success
