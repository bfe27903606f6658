"""How an answer is tried: on the exercise's cases, for several seeds and dtypes.

First its properties are examined, then its results are compared with the solution's. An answer that fails is compared
with the named wrong answers: whoever computes the same as one of them gets its hint.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrong

SEEDS = (0, 1, 2)
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 3e-2}  # relative to the largest true value


@dataclass(frozen=True)
class Trial:
    """`state` is "right", "not attempted" or "wrong"; `misfit` says why, `wrong` is the recognised wrong answer."""

    state: str
    misfit: str = ""
    wrong: Wrong | None = None


def try_answer(exercise: Exercise, answer: Any) -> Trial:
    """Run an answer on every case: is it right, and if not, what is wrong with it?"""
    for dtype in exercise.dtypes:
        for seed in SEEDS:
            for case in exercise.cases(seed, dtype):
                trial = _try_case(exercise, answer, case, dtype)
                if trial.state == "wrong":
                    return Trial("wrong", trial.misfit, recognise(exercise, answer))
                if trial.state != "right":
                    return trial
    return Trial("right")


def _try_case(exercise: Exercise, answer: Any, case: Case, dtype: torch.dtype) -> Trial:
    def run(*args: Any) -> Any:
        return exercise.run(answer, *copy.deepcopy(args))

    try:
        result = run(*case)
        if result is None:
            return Trial("not attempted")
        for examine in exercise.properties:
            examine(run, *case)
        difference(result, exercise.run(exercise.solution, *copy.deepcopy(case)), TOLERANCE[dtype])
    except NotImplementedError:  # the mark that `source._blank` leaves where the learner has not written yet
        return Trial("not attempted")
    except Misfit as misfit:
        return Trial("wrong", str(misfit))
    except Exception as error:  # whatever the learner's code raises is a result, not the end of the notebook
        line = (str(error).splitlines() or [""])[0]
        return Trial("wrong", f"it stops with {type(error).__name__}: {line}")
    return Trial("right")


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
