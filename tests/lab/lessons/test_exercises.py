"""Every check is checked: solutions pass, each named wrong answer fails and is recognised, blank answers fail."""

import re

import pytest

from minikimi.errors import UserError
from minikimi.lab.exercise import Exercise, Wrong
from minikimi.lab.lessons import exercise, lesson, lesson_numbers
from minikimi.lab.trial import try_answer

EXERCISES = [e for number in lesson_numbers() for e in lesson(number)]
WRONG = [(e, wrong) for e in EXERCISES for wrong in e.wrong]


def one(exercises: list[Exercise]) -> list:
    return [pytest.param(e, id=e.id) for e in exercises]


@pytest.mark.parametrize("e", one(EXERCISES))
def test_solution_passes(e: Exercise) -> None:
    trial = try_answer(e, e.solution)
    assert trial.state == "right", trial.misfit


@pytest.mark.parametrize(("e", "wrong"), [pytest.param(e, w, id=f"{e.id} {w.name}") for e, w in WRONG])
def test_wrong_answer_gets_its_own_hint(e: Exercise, wrong: Wrong) -> None:
    trial = try_answer(e, wrong.answer)
    assert trial.state == "wrong"
    assert trial.wrong is wrong, f"recognised as {trial.wrong and trial.wrong.name!r}: {trial.misfit}"


@pytest.mark.parametrize("e", one(EXERCISES))
def test_blank_answers_do_not_pass(e: Exercise) -> None:
    def blank(*args, **kwargs):
        raise NotImplementedError("not written")

    assert try_answer(e, blank).state == "not attempted"
    assert try_answer(e, lambda *args, **kwargs: None).state in ("not attempted", "wrong")
    assert try_answer(e, None).state in ("not attempted", "wrong")


@pytest.mark.parametrize("e", one(EXERCISES))
def test_constant_answers_do_not_pass(e: Exercise) -> None:
    first = e.cases(0, e.dtypes[0])[0]
    result = e.run(e.solution, *first)  # right for the first case, and only for it
    assert try_answer(e, lambda *args, **kwargs: args[0] if args else 0).state == "wrong"
    if len(e.cases(0, e.dtypes[0])) * len(e.dtypes) > 1 and first:
        assert try_answer(e, lambda *args, **kwargs: result).state == "wrong"


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


@pytest.mark.parametrize("bad", ["2.99", "99.1", "x"])
def test_unknown_exercises_are_named(bad: str) -> None:
    with pytest.raises(UserError, match=r"no (exercise|lesson)"):
        exercise(bad)
