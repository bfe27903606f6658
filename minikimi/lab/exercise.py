"""What an exercise is, and how an answer is judged (all lessons).

An answer is run on the exercise's cases, for several seeds and dtypes. First its properties are examined, then it is
compared with the solution. An answer that fails is compared with the named wrong answers: whoever computes the same as
one of them gets its hint.
"""

from __future__ import annotations

import copy
import importlib
import pkgutil
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minikimi.errors import UserError

SEEDS = (0, 1, 2)
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 3e-2}  # relative to the largest true value
Case = tuple[Any, ...]


class Misfit(Exception):
    """A property that an answer lacks. The message is one sentence for the learner, with numbers where they help."""


@dataclass(frozen=True)
class Wrong:
    """A wrong answer that learners do give: its name, the answer itself, and the hint that puts it right."""

    name: str
    answer: Callable[..., Any]
    hint: str


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lesson.

    Args:
        id: lesson and number, "2.1".
        title: a few words, imperative: "Turn the pairs".
        difficulty: 1 (one line) to 5 (think hard).
        minutes: for a learner who knows PyTorch.
        hints: two, the second says more than the first but is not the solution.
        solution: the right function or class: the library's where it has one.
        why: why it is so, one to three sentences.
        cases: (seed, dtype) to the argument tuples an answer is tried on, such that likely mistakes show.
        wrong: at least three.
        properties: each takes (run, *case), where run(*args) is the answer, and raises `Misfit`.
        dtypes: what it must work in.
        run: how to get a comparable result from an answer and a case; for classes: build it, load weights, call it.
    """

    id: str
    title: str
    difficulty: int
    minutes: int
    hints: tuple[str, str]
    solution: Callable[..., Any]
    why: str
    cases: Callable[[int, torch.dtype], Sequence[Case]]
    wrong: tuple[Wrong, ...]
    properties: tuple[Callable[..., None], ...] = ()
    dtypes: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16)
    run: Callable[..., Any] = lambda answer, *case: answer(*case)


@dataclass(frozen=True)
class Verdict:
    """`state` is "right", "not attempted" or "wrong"; `misfit` says why, `wrong` is the recognised wrong answer."""

    state: str
    misfit: str = ""
    wrong: Wrong | None = None


def lesson(number: str) -> tuple[Exercise, ...]:
    """The exercises of lesson "02". Raises `UserError` if there is no such lesson."""
    try:
        module = importlib.import_module(f"minikimi.lab.lesson_{number}")
    except ModuleNotFoundError as error:
        if error.name != f"minikimi.lab.lesson_{number}":
            raise
        raise UserError(f"no lesson {number!r}; there are {', '.join(lesson_numbers())}") from None
    return module.EXERCISES


def lesson_numbers() -> list[str]:
    """All lessons that have exercises: "00", "01", ..."""
    package = importlib.import_module("minikimi.lab")
    names = (re.fullmatch(r"lesson_(\d\d)", module.name) for module in pkgutil.iter_modules(package.__path__))
    return sorted(name[1] for name in names if name)


def exercise(id: str) -> Exercise:
    """The exercise "2.1". Raises `UserError` if there is none."""
    number = str(id).split(".")[0].zfill(2)
    found = {e.id: e for e in lesson(number)}
    if str(id) not in found:
        raise UserError(f"no exercise {id!r}; lesson {number} has {', '.join(found)}")
    return found[str(id)]


def judge(exercise: Exercise, answer: Any) -> Verdict:
    """Run an answer on every case and say whether it is right, and if not, what is wrong with it."""
    for dtype in exercise.dtypes:
        for seed in SEEDS:
            for case in exercise.cases(seed, dtype):
                verdict = _judge_case(exercise, answer, case, dtype)
                if verdict.state == "wrong":
                    return Verdict("wrong", verdict.misfit, recognise(exercise, answer))
                if verdict.state != "right":
                    return verdict
    return Verdict("right")


def _judge_case(exercise: Exercise, answer: Any, case: Case, dtype: torch.dtype) -> Verdict:
    def run(*args: Any) -> Any:
        return exercise.run(answer, *copy.deepcopy(args))

    try:
        result = run(*case)
        if result is None:
            return Verdict("not attempted")
        for examine in exercise.properties:
            examine(run, *case)
        difference(result, exercise.run(exercise.solution, *copy.deepcopy(case)), TOLERANCE[dtype])
    except NotImplementedError:  # the mark that `source._blank` leaves where the learner has not written yet
        return Verdict("not attempted")
    except Misfit as misfit:
        return Verdict("wrong", str(misfit))
    except Exception as error:  # whatever the learner's code raises is a verdict, not the end of the notebook
        return Verdict(
            "wrong", f"it stops with {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        )
    return Verdict("right")


def recognise(exercise: Exercise, answer: Any) -> Wrong | None:
    """The named wrong answer that computes the same as `answer` on all cases of the first seed, if there is one."""
    cases = [(case, dtype) for dtype in exercise.dtypes for case in exercise.cases(SEEDS[0], dtype)]
    outcomes = [_outcome(exercise, answer, case) for case, _ in cases]
    for wrong in exercise.wrong:
        theirs = (_outcome(exercise, wrong.answer, case) for case, _ in cases)
        if all(_same(a, b, dtype) for a, b, (_, dtype) in zip(outcomes, theirs, cases, strict=True)):
            return wrong
    return None


def _outcome(exercise: Exercise, answer: Any, case: Case) -> Any:
    try:
        return exercise.run(answer, *copy.deepcopy(case))
    except Exception as error:  # stopping in the same way is the same outcome
        return f"{type(error).__name__}: {error}"


def _same(a: Any, b: Any, dtype: torch.dtype) -> bool:
    try:
        difference(a, b, TOLERANCE[dtype])
    except Misfit:
        return False
    return True


def difference(result: Any, expected: Any, tolerance: float) -> None:
    """Raise `Misfit` unless `result` is `expected`: structure, shape, dtype, and values up to a relative tolerance."""
    if isinstance(expected, Tensor):
        _tensor_difference(result, expected, tolerance)
    elif isinstance(expected, (tuple, list)):
        if not isinstance(result, (tuple, list)) or len(result) != len(expected):
            raise Misfit(f"it returns {_describe(result)}, expected {_describe(expected)}")
        for r, e in zip(result, expected, strict=True):
            difference(r, e, tolerance)
    elif isinstance(expected, float):
        if not isinstance(result, (int, float)) or abs(result - expected) > tolerance * max(1e-12, abs(expected)):
            raise Misfit(f"it returns {_describe(result)}, which is not the right number")
    elif type(result) is not type(expected) or result != expected:
        raise Misfit(f"it returns {_describe(result)}, which is not right")


def _tensor_difference(result: Any, expected: Tensor, tolerance: float) -> None:
    if not isinstance(result, Tensor):
        raise Misfit(f"it returns {_describe(result)}, expected a tensor")
    if result.shape != expected.shape:
        raise Misfit(f"the result has shape {tuple(result.shape)}, expected {tuple(expected.shape)}")
    if result.dtype != expected.dtype:
        raise Misfit(f"the result is {result.dtype}, expected {expected.dtype}".replace("torch.", ""))
    if not expected.numel():
        return
    error = (result.detach().double() - expected.detach().double()).abs().max().item()
    if not error <= tolerance * max(1e-12, expected.detach().double().abs().max().item()):
        raise Misfit(f"the shape is right, the values are not: the largest difference is {error:.3g}")


def _describe(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"{len(value)} values"
    return f"{type(value).__name__} {value!r}"[:80]
