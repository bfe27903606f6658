"""Verifiable rewards: plain functions `f(completions, **columns) -> list[float]` (lesson 14).

`columns` are lists as long as `completions`: answer, facts, task, id, question. What a model wrote is only ever
compared, never run: a reward that evaluates text can be attacked by the text. Nor is there credit for an answer that
merely occurs somewhere: "it is not 7, not 8, not 9" names them all. Source: Kimi k1.5 report (arXiv 2501.12599),
sections 2.3.1 and 2.3.3.
"""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from minikimi.errors import UserError
from minikimi.processor.text.chat import END_THINK, THINK

LONGEST_ANSWER = 1000  # characters; an answer beyond is wrong unread
RewardFunction = Callable[..., list[float]]


def split_thought(text: str) -> tuple[str, str] | None:
    """(thought, answer) of `◁think▷thought◁/think▷answer`; None unless both markers stand exactly once and in place."""
    if text.count(THINK) != 1 or text.count(END_THINK) != 1 or not text.startswith(THINK):
        return None
    thought, _, answer = text.removeprefix(THINK).partition(END_THINK)
    return thought, answer


def answer_of(text: str) -> str | None:
    """The answer: what follows the thought, or the whole text where nothing was thought. None for broken markers."""
    if THINK not in text and END_THINK not in text:
        return text
    parts = split_thought(text)
    return parts[1] if parts else None


def normalise(text: str) -> str:
    """Without surrounding or doubled blanks and one closing full stop; letters must agree in case."""
    return " ".join(text.split()).removesuffix(".")


def exact_answer(completions: Sequence[str], answer: Sequence[str], **_: Any) -> list[float]:
    """1 where the answer is exactly the reference, else 0."""
    given = [answer_of(text) for text in completions]
    return [
        float(a is not None and len(a) <= LONGEST_ANSWER and normalise(a) == normalise(truth))
        for a, truth in zip(given, answer, strict=True)
    ]


NUMBER = r"\s{0,2}([01](?:\.\d{1,6})?|\.\d{1,6})\s{0,2}"
POINT = re.compile(rf"(?:click)?\({NUMBER},{NUMBER}\)")


def point_of(text: str | None) -> tuple[float, float] | None:
    """(x, y) of an answer that is one point and nothing else, `click(0.25, 0.5)` or `(0.25, 0.5)`, from 0 to 1."""
    match = POINT.fullmatch(normalise(text)) if text is not None and len(text) <= LONGEST_ANSWER else None
    if match is None:
        return None
    x, y = float(match[1]), float(match[2])
    return (x, y) if max(x, y) <= 1 else None


def point_in_box(completions: Sequence[str], facts: Sequence[Mapping[str, Any]], **_: Any) -> list[float]:
    """1 where the answer is a point inside `facts["box"]` (left, top, right, bottom, all from 0 to 1), else 0."""
    scores = []
    for text, fact in zip(completions, facts, strict=True):
        point, (left, top, right, bottom) = point_of(answer_of(text)), fact["box"]
        scores.append(float(point is not None and left <= point[0] <= right and top <= point[1] <= bottom))
    return scores


def correct_answer(
    completions: Sequence[str], answer: Sequence[str], facts: Sequence[Mapping[str, Any]], **_: Any
) -> list[float]:
    """For mixed tasks: a point in the box where the facts hold a box, else the exact answer."""
    rows = zip(completions, answer, facts, strict=True)
    return [
        (point_in_box([text], facts=[fact]) if "box" in fact else exact_answer([text], answer=[truth]))[0]
        for text, truth, fact in rows
    ]


def thought_format(completions: Sequence[str], **_: Any) -> list[float]:
    """1 where the response is a thought and an answer, neither empty, else 0."""
    parts = [split_thought(text) for text in completions]
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


REWARDS: dict[str, RewardFunction] = {
    "correct": correct_answer,
    "exact": exact_answer,
    "point": point_in_box,
    "format": thought_format,
}


def reward_function(name: str) -> RewardFunction:
    """A function of `REWARDS`, or any other by its import path `package.module.function`. Raises `UserError`."""
    if name in REWARDS:
        return REWARDS[name]
    module, _, attribute = name.rpartition(".")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError):
        raise UserError(f"reward {name!r}: choose {', '.join(REWARDS)} or an import path of a function") from None


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
