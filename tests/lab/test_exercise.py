"""An exercise and its wrong answers as data."""

from dataclasses import fields

import pytest
import torch

from minikimi.lab.exercise import Exercise, Wrong, Wrongs, words
from minikimi.lab.lessons import exercise


def test_wrong_keeps_name_hint_and_answer() -> None:
    def growing(x):
        return x + 1

    wrong = Wrongs()
    assert wrong("growing", "It shrinks.")(growing) == Wrong("growing", "It shrinks.", growing)
    wrong.add("again", "It still shrinks.", growing)
    assert [w.name for w in wrong] == ["growing", "again"]


def test_fields_are_given_by_name() -> None:
    e = exercise("2.4")
    values = {field.name: getattr(e, field.name) for field in fields(Exercise)}
    assert Exercise(**values) == e and e.run(lambda a, b: a - b, 3, 2) == 1
    assert e.dtypes == (torch.float32, torch.bfloat16) and exercise("2.3").dtypes == (torch.float32,)
    with pytest.raises(TypeError):
        Exercise(*values.values())


WORDS = """Exercise 1.12: Draw (slowly) (difficulty 2, 14 minutes)

Hint 1: one
line.

Hint 2: two.

Why: so.
"""


def test_words_are_read_from_a_docstring() -> None:
    assert words(WORDS) == {
        "id": "1.12",
        "title": "Draw (slowly)",
        "difficulty": 2,
        "minutes": 14,
        "hints": ("one line.", "two."),
        "why": "so.",
    }
    broken = [WORDS.replace(part, "") for part in ("Exercise ", "1.12", "difficulty", "Hint 1:", "Hint 2:", "Why:")]
    for text in (None, *broken, WORDS + "\nMore.\n"):
        with pytest.raises(ValueError, match="words of an exercise"):
            words(text)
