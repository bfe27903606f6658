"""An exercise and its wrong answers as data."""

from dataclasses import fields

import pytest
import torch

from minikimi.lab.exercise import Exercise, Wrong, wrong
from minikimi.lab.lessons import exercise


def test_wrong_keeps_name_hint_and_answer() -> None:
    def growing(x):
        return x + 1

    assert wrong("growing", "It shrinks.")(growing) == Wrong("growing", "It shrinks.", growing)


def test_fields_are_given_by_name() -> None:
    e = exercise("2.4")
    values = {field.name: getattr(e, field.name) for field in fields(Exercise)}
    assert Exercise(**values) == e and e.run(lambda a, b: a - b, 3, 2) == 1
    assert e.dtypes == (torch.float32, torch.bfloat16)
    with pytest.raises(TypeError):
        Exercise(*values.values())
