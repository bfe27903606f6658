"""Verifiable rewards: plain functions `f(completions, **columns) -> list[float]` (lesson 14).

`columns` are lists as long as `completions`: answer, facts, task, id, question. What is right says `minikimi.answers`,
with `alone`, since training is stricter than the examination. A new reward is one function under `@reward(NAME)` in
this file and its test; a run's settings name it. Source: Kimi k1.5 report (arXiv 2501.12599), sections 2.3.1 and 2.3.3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minikimi import answers
from minikimi.errors import UserError
from minikimi.sample import Sample
from minikimi.world import judged

RewardFunction = Callable[..., list[float]]
REWARDS: dict[str, RewardFunction] = {}  # filled by `reward`


def reward(name: str) -> Callable[[RewardFunction], RewardFunction]:
    """Enter a function in the table of rewards, under the name by which settings ask for it."""

    def enter(function: RewardFunction) -> RewardFunction:
        REWARDS[name] = function
        return function

    return enter


@reward("exact")
def exact_answer(completions: Sequence[str], answer: Sequence[str], **_: Any) -> list[float]:
    """1 where the answer is exactly the reference, else 0."""
    pairs = zip(completions, answer, strict=True)
    return [float(answers.exact_match(text, truth, alone=True).right) for text, truth in pairs]


@reward("point")
def point_in_box(completions: Sequence[str], facts: Sequence[Mapping[str, Any]], **_: Any) -> list[float]:
    """1 where the answer is a point inside `facts["box"]` (left, top, right, bottom, all from 0 to 1), else 0."""
    pairs = zip(completions, facts, strict=True)
    return [float(answers.point_in_box(text, fact["box"], alone=True).right) for text, fact in pairs]


@reward("correct")
def correct_answer(
    completions: Sequence[str], answer: Sequence[str], facts: Sequence[Mapping[str, Any]], task: Sequence[str], **_: Any
) -> list[float]:
    """For mixed tasks: 1 where the rule of the sample's own task says so (`Task.judge`), else 0."""
    rows = zip(completions, answer, facts, task, strict=True)
    return [
        float(judged(Sample("", name, [], [], truth, facts=dict(fact)), text, alone=True).right)
        for text, truth, fact, name in rows
    ]


@reward("format")
def thought_format(completions: Sequence[str], **_: Any) -> list[float]:
    """1 where the response is a thought and an answer, neither empty, else 0."""
    parts = [answers.split_thought(text) for text in completions]
    return [float(p is not None and bool(p[0].strip()) and bool(p[1].strip())) for p in parts]


def length_rewards(lengths: Sequence[int], correct: Sequence[bool]) -> list[float]:
    """The length reward among the responses to one problem, from -0.5 (longest) to 0.5 (shortest).

    λ = 0.5 - (len - min) / (max - min); a correct response gets λ, a wrong one min(0, λ), all get 0 if all are as long.
    """
    low, high = min(lengths), max(lengths)
    if low == high:
        return [0.0] * len(lengths)
    shares = [0.5 - (length - low) / (high - low) for length in lengths]
    return [share if right else min(0.0, share) for share, right in zip(shares, correct, strict=True)]


def reward_function(name: str) -> RewardFunction:
    """The function of this name. Raises `UserError` for any other: a name never says what to import."""
    if name not in REWARDS:
        raise UserError(f"unknown reward {name!r}; choose {', '.join(REWARDS)}")
    return REWARDS[name]


def evaluate(
    names: Sequence[str], completions: Sequence[str], columns: Mapping[str, Sequence[Any]]
) -> list[dict[str, float]]:
    """The value of each function for each completion. Raises `ValueError`, naming the sample, for what is no number."""
    values = {name: reward_function(name)(completions, **columns) for name in names}
    for name, scores in values.items():
        if len(scores) != len(completions):
            raise ValueError(f"reward {name} gave {len(scores)} values for {len(completions)} completions")
        for score, sample in zip(scores, columns["id"], strict=True):
            if not math.isfinite(score):
                raise ValueError(f"reward {name} of sample {sample} is {score}; it must be a finite number")
    return [{name: float(values[name][i]) for name in names} for i in range(len(completions))]
