"""The prompt set: which problems are worth training on at all, found out once and before (lesson 14).

A problem that is always or never solved has no lesson, and one whose answer can be guessed teaches to guess. Source:
Kimi k1.5 report (arXiv 2501.12599), section 2.1, which also drops multiple choice, true or false, and proofs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import END_THINK, THINK
from minikimi.rl.passk import pass_rates
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.sample import Sample


def worth_training(
    passed: Sequence[int], tries: int, guessed: Sequence[int], low: float = 0.1, high: float = 0.9
) -> list[bool]:
    """Keep problem i if its pass rate, `passed[i]` of `tries`, lies in [low, high] and it was never guessed."""
    return [low <= right / tries <= high and not guesses for right, guesses in zip(passed, guessed, strict=True)]


def filter_prompts(
    model: KimiVL,
    processor: Processor,
    samples: Sequence[Sample],
    settings: RolloutSettings,
    hot: int = 10,
    guesses: int = 8,
    temperature: float = 1.2,
    seed: int = 0,
) -> list[bool]:
    """Which samples to keep, from `hot` responses at high temperature and `guesses` with an empty thought.

    Rewards and the longest response are those of `settings`.
    """
    thinking = replace(settings, samples=hot, temperature=temperature)
    passed = pass_rates(model, processor, samples, thinking, (seed, 3)).correct
    guessing = replace(settings, samples=guesses, temperature=1.0)
    guessed = pass_rates(model, processor, samples, guessing, (seed, 4), THINK + END_THINK).correct
    return worth_training(passed, hot, guessed)
