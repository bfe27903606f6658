"""MathVista: extract, bring to the question's type, compare as text (lesson 15).

The published program lets a language model extract the answer wherever the output is not already one. We have no
judge: outputs that are no bare answer go through a fixed rule, named in the branch, so our `official` is that of the
published comparison behind another extraction. `strict` takes bare answers only. Source: MathVista (arXiv 2310.02255).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from minikimi.benchmarks.distance import edit_distance
from minikimi.benchmarks.item import Score

NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
MAX_DIGITS = 40


def number(text: str) -> float | None:
    """A finite number written in at most 40 characters and without commas, as published programs read it, else None."""
    try:
        value = float(text) if len(text) <= MAX_DIGITS else float("nan")
    except ValueError:
        return None
    return value if abs(value) < 1e300 else None


def extract(output: str, choices: Sequence[str] | None, answer_type: str) -> tuple[str, str]:
    """(answer, branch): a bare answer as it stands, else by rule: the letter of a choice, the last number, what follows
    "answer is". Commas within numbers are left out.
    """
    output, numeric = output.strip(), not choices and answer_type in ("integer", "float")
    bare = output.replace(",", "") if numeric else output
    if number(bare) is not None if numeric else output in (choices or ()):
        return bare, "bare"
    if not output:
        return output, "none"
    quoted = re.search(r'answer is "?([^"\n]{1,200}?)"?\.?\s*$', output, re.IGNORECASE)
    if choices:
        own = letters_of(choices)  # "I think it is blue" says no I
        bracketed = [letter.upper() for letter in re.findall(r"\(([A-Za-z])\)", output)]
        for found in (bracketed, re.findall(r"(?<!\w)[A-Z](?!\w)", output)):
            if letters := [letter for letter in found if letter in own]:
                return letters[-1], "rule: letter"
    elif numeric and (numbers := NUMBER.findall(bare)):
        return numbers[-1], "rule: last number"
    return (quoted[1].strip(), "rule: answer is") if quoted else (output, "rule: whole output")


def letters_of(choices: Sequence[str]) -> list[str]:
    """The letters that stand for the choices: A, B, ..."""
    return [chr(ord("A") + i) for i in range(len(choices))]


def typed(text: str, choices: Sequence[str] | None, answer_type: str, precision: Any) -> str | None:
    """The published normalisation: a letter or the nearest text of the choices, a whole number, a rounded one, or the
    text as it is.
    """
    if choices:
        letters = letters_of(choices)
        text = match[1].upper() if (match := re.search(r"\(([A-Za-z])\)", text)) else text
        if text in letters:
            return choices[letters.index(text)]
        return min(choices, key=lambda choice: edit_distance(text, choice))
    if answer_type == "integer":
        return None if (value := number(text)) is None else str(int(value))
    if answer_type == "float":
        return None if (value := number(text)) is None else str(round(value, int(float(precision or 0))))
    return text


def score_mathvista(
    output: str, answer: str, choices: Sequence[str] | None, answer_type: str, precision: Any = None
) -> Score:
    """Official: the published comparison after extraction. Strict: a bare answer or option letter."""
    extracted, branch = extract(output, choices, answer_type)
    if branch == "none":
        return Score(0.0, 0.0, None, branch)
    official = typed(extracted, choices, answer_type, precision) == answer
    letter = branch == "rule: letter" and re.fullmatch(r"\(?[A-Z]\)?\.?", output.strip()) is not None
    plain = branch == "bare" or letter or (not choices and answer_type not in ("integer", "float"))
    return Score(float(official), float(official and plain), extracted, branch)
