"""When is an answer right: one law for rewards and for examinations (lessons 14 and 15).

Outputs are parsed and compared, never evaluated. An output that thinks without end has not answered: it is wrong, and
counted as a parse failure beside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from minikimi.processor.text.chat import END_THINK, THINK

NUMBER = re.compile(r"(?<![\w.])-?\d{1,9}(?:\.\d{1,9})?(?![\w.]*\d)")


@dataclass(frozen=True)
class Verdict:
    """What one output is worth. answer: what was found in it, None if nothing was; that counts as wrong."""

    answer: str | None
    right: bool


def normalise(text: str) -> str:
    """Answers are compared without surrounding blanks and a closing full stop; letters must agree in case."""
    return " ".join(text.split()).removesuffix(".")


def without_thinking(output: str) -> str | None:
    """The output as it stands, but for its thinking; None if the thinking never ends."""
    if THINK not in output:
        return output
    _, closed, rest = output.rpartition(END_THINK)
    return rest if closed else None


def final_answer(output: str) -> str | None:
    """What follows the thinking, if there is any; None if the thinking never ends or nothing follows it."""
    return normalise(without_thinking(output) or "") or None


def running_text_answer(output: str) -> str:
    """The answer in what a base model writes: the last sentence of its first line, after worked steps if there are
    any. Further questions and the description follow on lines of their own.
    """
    return normalise(output.split("\n")[0]).split(". ")[-1]


def exact_match(output: str, truth: str) -> Verdict:
    """Right only if the whole answer is right."""
    answer = final_answer(output)
    return Verdict(answer, answer == normalise(truth))


def first_point(text: str) -> tuple[float, float] | None:
    """The first two numbers of a text as (x, y); None if there are fewer."""
    numbers = [float(number) for number in NUMBER.findall(text)[:2]]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def point_in_box(output: str, box: Sequence[float]) -> Verdict:
    """Right if the point lies in the box (left, top, right, bottom), edges included, in the same unit: 0 to 1 of the
    image. A point in pixels is not guessed at: it is outside.
    """
    answer = final_answer(output)
    point = first_point(answer) if answer else None
    if point is None:
        return Verdict(None, False)
    left, top, right, bottom = box
    return Verdict(answer, left <= point[0] <= right and top <= point[1] <= bottom)
