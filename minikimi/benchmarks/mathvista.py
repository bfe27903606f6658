"""MathVista: extract, bring to the question's type, compare as text (lesson 15).

The program followed: MathVista 53d5258 (2025-09-28), arXiv 2310.02255. It lets a language model extract the answer
wherever the output is not already one. We have no judge: outputs that are no bare answer are read by the law of
answers, named in the branch, so our `official` is the published comparison behind another extraction. An empty output
goes to the comparison as it does there, where the nearest of some choices is the shortest. `strict` takes bare answers
only, and asks the law as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from minikimi import answers
from minikimi.benchmarks.choices import LETTERS
from minikimi.benchmarks.distance import edit_distance
from minikimi.benchmarks.item import Score

MAX_DIGITS = 40


def number(text: str) -> float | None:
    """A finite number written in at most 40 characters and without commas, as published programs read it, else None."""
    try:
        value = float(text) if len(text) <= MAX_DIGITS else float("nan")
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None


def extract(output: str, choices: Sequence[str] | None, answer_type: str) -> tuple[str, str]:
    """(answer, branch): a bare answer as it stands, else by the law of answers: the letter of a choice, the number or
    the list that is stated; else the text that is.
    """
    output, numeric = output.strip(), not choices and answer_type in ("integer", "float")
    if not output:
        return output, "none"
    if number(output) is not None if numeric else output in (choices or ()):
        return output, "bare"
    if choices:
        if letter := answers.option_letter(output, dict(zip(LETTERS, choices, strict=False))):
            return letter, "rule: letter"
    elif numeric:
        value = answers.stated_number(output)
        return (output, "rule: whole output") if value is None else (decimal(value), "rule: number")
    elif answer_type == "list" and (found := re.search(r"\[[^\[\]]*\]", answers.stated(output) or output)):
        return found[0], "rule: list"
    said = (answers.stated(output) or "").strip().split("\n")[0].removesuffix(".").strip('"')
    return (said, "rule: answer is") if said else (output, "rule: whole output")


def decimal(value: Fraction) -> str:
    """A number as the published comparison can read it."""
    return str(value.numerator) if value.denominator == 1 else str(float(value))


def typed(text: str, choices: Sequence[str] | None, answer_type: str, precision: Any) -> str | None:
    """The published normalisation: a letter or the nearest text of the choices, a whole number, a rounded one, or the
    text as it is.
    """
    if choices:
        letters = LETTERS[: len(choices)]
        text = match[1].upper() if (match := re.search(r"\(([a-zA-Z])\)", text)) else text
        if len(text) == 1 and text in letters:
            return choices[letters.index(text)]
        return min(choices, key=lambda choice: edit_distance(text, choice))
    if answer_type == "integer":
        return None if (value := number(text)) is None else str(int(value))
    if answer_type == "float":
        return None if (value := number(text)) is None else str(round(value, int(float(precision or 0))))
    return text


def is_bare(output: str, choices: Sequence[str] | None, answer_type: str) -> bool:
    """Whether the output is nothing but an answer by the law: a choice or its letter, a number, a text."""
    if choices:
        letter = re.fullmatch(r"\W{0,9}[A-Za-z]\W{0,9}", output.strip())
        return output.strip() in choices or letter is not None
    return answer_type not in ("integer", "float") or answers.number(output) is not None


def score_mathvista(
    output: str, answer: str, choices: Sequence[str] | None, answer_type: str, precision: Any = None
) -> Score:
    """Official: the published comparison after extraction. Strict: a bare answer or option letter."""
    extracted, branch = extract(output, choices, answer_type)
    official = typed(extracted, choices, answer_type, precision) == answer
    strict = official and is_bare(output, choices, answer_type)
    return Score(float(official), float(strict), extracted or None, branch)
