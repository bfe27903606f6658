"""A tiny model that answers sums: its accuracy by hand, and what reinforcement changes."""

import pytest
import torch

from minikimi.findings import thinking
from minikimi.findings.texts import processor
from minikimi.findings.toy_training import text_model
from minikimi.rl.rollout_settings import RolloutSettings


def test_accuracy_is_the_share_of_exact_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four greedy answers two are forged to be right; a right sum in a longer sentence is not."""
    model, samples = text_model(0), thinking.problems(0, 4)
    said = [samples[0].answer, f"◁think▷so◁/think▷{samples[1].answer}", "no", f"perhaps {samples[3].answer}"]
    monkeypatch.setattr(model, "generate", lambda **_: None)
    monkeypatch.setattr(type(processor()), "decode", lambda *_: said)
    assert thinking.accuracy(model, samples) == 50.0


def test_problems_are_the_first_held_out_ones() -> None:
    assert thinking.problems(1, 3) == thinking.problems(1, 5)[:3] != thinking.problems(2, 3)


def test_reinforcement_reports_every_iteration_and_moves_the_language_half_alone() -> None:
    model, before = text_model(0), text_model(0).state_dict()
    settings = RolloutSettings(problems=2, samples=2, inner_steps=2, max_new_tokens=6)
    reports = thinking.reinforce(model, 0, settings, 3)
    assert [report["iteration"] for report in reports] == [0, 1, 2]
    moved = {name.split(".")[0] for name, p in model.state_dict().items() if not torch.equal(p, before[name])}
    assert moved <= {"language_model"}
