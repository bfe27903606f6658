"""The exercises of all lessons: a folder `lesson_NN` for each lesson, in it a file `eNN_name.py` for each exercise.

Such a file holds everything about its exercise: the solution where the library has none, the cases that answers are
tried on, the wrong answers that learners give, and what the learner reads. Folders and files are found by their names.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterable
from importlib import import_module

from minikimi.errors import UserError
from minikimi.lab.exercise import Exercise
from minikimi.lab.lessons.planned import PLANNED


def lesson_numbers() -> list[str]:
    """All lessons that have exercises: "00", "01", ..."""
    return [name.removeprefix("lesson_") for name in _modules(__path__, r"lesson_\d\d")]


def lesson(number: str) -> tuple[Exercise, ...]:
    """The exercises of lesson "02". Raises `UserError` if there is no such lesson."""
    if number in PLANNED:
        raise UserError(f"no lesson {number!r} yet: {PLANNED[number]!r} is planned")
    if number not in lesson_numbers():
        raise UserError(f"no lesson {number!r}; there are {', '.join(lesson_numbers())}")
    package = import_module(f"{__name__}.lesson_{number}")
    names = _modules(package.__path__, r"e\d\d_\w+")
    return tuple(import_module(f"{package.__name__}.{name}").EXERCISE for name in names)


def exercise(id: str) -> Exercise:
    """The exercise "2.1". Raises `UserError` if there is none."""
    number = str(id).split(".")[0].zfill(2)
    found = {e.id: e for e in lesson(number)}
    if str(id) not in found:
        raise UserError(f"no exercise {id!r}; lesson {number} has {', '.join(found)}")
    return found[str(id)]


def _modules(path: Iterable[str], pattern: str) -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(path) if re.fullmatch(pattern, m.name))
