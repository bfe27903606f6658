"""What an exercise is: data for the learner, cases that answers are tried on, and the wrong answers it knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

Case = tuple[Any, ...]


class Misfit(Exception):
    """A property that an answer lacks. The message is one sentence for the learner, with numbers where they help."""


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that learners do give: its name, the hint that puts it right, and the answer itself."""

    name: str
    hint: str
    answer: Callable[..., Any]


class Wrongs(list[Wrong]):
    """The wrong answers of an exercise, in the order of its file, each entered where it is written:

    wrong = Wrongs()

    @wrong("reshape alone", "reshape does not move anything.")
    def only_reshaped(image): ...

    wrong.add("grid as (w, h)", "The grid is (h, w): rows first.", swapped(patchify))
    """

    def add(self, name: str, hint: str, answer: Callable[..., Any]) -> Wrong:
        """Enter an answer that exists already."""
        self.append(Wrong(name, hint, answer))
        return self[-1]

    def __call__(self, name: str, hint: str) -> Callable[[Callable[..., Any]], Wrong]:
        """Enter the function or class below."""
        return lambda answer: self.add(name, hint, answer)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise of a lesson.

    Args:
        id: lesson and number, "2.1".
        title: a few words, imperative: "Turn the pairs".
        difficulty: 1 (one line) to 5 (think hard).
        minutes: for a learner who knows PyTorch.
        hints: two, the second says more than the first but is not the solution.
        why: why it is so, one to three sentences.
        solution: the right function or class: the library's where it has one.
        cases: (seed, dtype) to the argument tuples an answer is tried on, such that likely mistakes show.
        wrong: at least three.
        run: how to get a comparable result from an answer and a case; for classes: build it, load weights, call it.
        properties: each takes (run, *case), where run(*args) is the answer, and raises `Misfit`.
        dtypes: what it must work in.
    """

    id: str
    title: str
    difficulty: int
    minutes: int
    hints: tuple[str, str]
    why: str
    solution: Callable[..., Any]
    cases: Callable[[int, torch.dtype], Sequence[Case]]
    wrong: Sequence[Wrong]
    run: Callable[..., Any] = lambda answer, *case: answer(*case)
    properties: tuple[Callable[..., None], ...] = ()
    dtypes: tuple[torch.dtype, ...] = (torch.float32,)


LINES = r"(?:.+\n)+"
WORDS = re.compile(
    r"Exercise (?P<id>\d+\.\d+): (?P<title>.+) \(difficulty (?P<difficulty>\d), (?P<minutes>\d+) minutes\)\n\n"
    rf"Hint 1: (?P<one>{LINES})\nHint 2: (?P<two>{LINES})\nWhy: (?P<why>{LINES})"
)


def words(text: str | None) -> dict[str, Any]:
    """What the learner reads of an exercise, taken from the docstring of its file, which looks like this:

        Exercise 2.4: Turn all heads at once (difficulty 3, 6 minutes)

        Hint 1: x.unflatten(-1, (-1, 2)) shows the pairs.

        Hint 2: cos[:, None] lines (T, d/2) up with (T, H, d/2).

        Why: every head gets the same angles.

    Lines are joined. Raises `ValueError` if the text has another form.
    """
    match = WORDS.fullmatch(text or "")
    if not match:
        raise ValueError(f"not the words of an exercise: {text!r}")
    parts = {name: " ".join(part.split()) for name, part in match.groupdict().items()}
    hints = parts.pop("one"), parts.pop("two")
    numbers = {name: int(parts.pop(name)) for name in ("difficulty", "minutes")}
    return {**parts, **numbers, "hints": hints}
