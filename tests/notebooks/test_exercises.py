"""Every check is checked: solutions pass, each named wrong answer fails and is recognised, blank answers fail."""

import re

import pytest
import torch

from minikimi.lab.exercise import Exercise, judge, lesson, lesson_numbers

EXERCISES = [e for number in lesson_numbers() for e in lesson(number)]
WRONG = [(e, wrong) for e in EXERCISES for wrong in e.wrong]


def one(exercises: list[Exercise]) -> list:
    return [pytest.param(e, id=e.id) for e in exercises]


@pytest.mark.parametrize("e", one(EXERCISES))
def test_solution_passes(e: Exercise) -> None:
    verdict = judge(e, e.solution)
    assert verdict.state == "right", verdict.misfit


@pytest.mark.parametrize(("e", "wrong"), [pytest.param(e, w, id=f"{e.id} {w.name}") for e, w in WRONG])
def test_wrong_answer_gets_its_own_hint(e: Exercise, wrong) -> None:
    verdict = judge(e, wrong.answer)
    assert verdict.state == "wrong"
    assert verdict.wrong is wrong, f"recognised as {verdict.wrong and verdict.wrong.name!r}: {verdict.misfit}"


@pytest.mark.parametrize("e", one(EXERCISES))
def test_blank_answers_do_not_pass(e: Exercise) -> None:
    def blank(*args, **kwargs):
        raise NotImplementedError("not written")

    assert judge(e, blank).state == "not attempted"
    assert judge(e, lambda *args, **kwargs: None).state in ("not attempted", "wrong")
    assert judge(e, None).state in ("not attempted", "wrong")


@pytest.mark.parametrize("e", one(EXERCISES))
def test_constant_answers_do_not_pass(e: Exercise) -> None:
    first = e.cases(0, e.dtypes[0])[0]
    result = e.run(e.solution, *first)  # right for the first case, and only for it
    assert judge(e, lambda *args, **kwargs: args[0] if args else 0).state == "wrong"
    if len(e.cases(0, e.dtypes[0])) * len(e.dtypes) > 1 and first:
        assert judge(e, lambda *args, **kwargs: result).state == "wrong"


@pytest.mark.parametrize("e", one(EXERCISES))
def test_exercise_is_complete(e: Exercise) -> None:
    assert 1 <= e.difficulty <= 5 and 1 <= e.minutes <= 20
    assert len(e.hints) == 2 and e.hints[0] != e.hints[1] and all(20 <= len(h) <= 300 for h in e.hints)
    assert len(e.wrong) >= 3 and len({w.hint for w in e.wrong}) == len(e.wrong)
    assert len({w.name for w in e.wrong}) == len(e.wrong) and all(w.hint.strip() for w in e.wrong)
    assert 20 <= len(e.why) <= 400 and 5 <= len(e.title) <= 45


@pytest.mark.parametrize("number", lesson_numbers())
def test_lesson_has_enough_exercises(number: str) -> None:
    exercises = lesson(number)
    assert 6 <= len(exercises) <= 12
    assert [e.id for e in exercises] == [f"{int(number)}.{i}" for i in range(1, len(exercises) + 1)]
    for e in exercises:
        assert all(re.search(r"[.:;?)]$|`$", text.strip()) for text in (*e.hints, e.why))


def test_results_do_not_depend_on_global_random_numbers() -> None:
    e = EXERCISES[0]
    torch.manual_seed(1)
    first = judge(e, e.wrong[0].answer)
    torch.manual_seed(2)
    assert judge(e, e.wrong[0].answer) == first
