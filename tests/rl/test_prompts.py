"""The prompt set: what is worth training on."""

import pytest
from rl_toys import Questions

from minikimi.rl.passk import PassRates
from minikimi.rl.prompts import filter_prompts, worth_training
from minikimi.rl.rollout_settings import RolloutSettings


def test_prompt_set_drops_the_easy_the_hopeless_and_the_guessed() -> None:
    assert worth_training([10, 0, 5, 5, 9, 1], 10, [0, 0, 0, 1, 0, 0]) == [False, False, True, False, True, True]


def test_guesses_have_an_empty_thought(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten hot samples, then eight with an empty thought; right 5 of 10 times and never guessed stays."""
    asked = []

    def rates(model, processor, samples, settings, key, opening=""):
        asked.append((settings.samples, settings.temperature > 1, opening))
        return PassRates(settings.samples, [0, 1] if opening else [5, 5], [1.0, 1.0])

    monkeypatch.setattr("minikimi.rl.prompts.pass_rates", rates)
    kept = filter_prompts(None, None, [Questions()[0], Questions()[1]], RolloutSettings())  # type: ignore[arg-type]
    assert kept == [True, False]
    assert asked == [(10, True, ""), (8, False, "◁think▷◁/think▷")]
