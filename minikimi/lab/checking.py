"""`check`, `hint`, `solution`, `progress`: what a learner calls in a lesson."""

from __future__ import annotations

import inspect
import json
import os
import textwrap
from pathlib import Path
from typing import Any

from minikimi.errors import UserError
from minikimi.files import write_json
from minikimi.lab.lessons import exercise, lesson
from minikimi.lab.trial import try_answer

FOLDER = "my"  # learners' copies live here; progress is kept beside them and nowhere else
_states: dict[str, str] = {}


def check(id: str, answer: Any) -> Any:
    """Try the answer to exercise `id`, say how it did, and return the answer if it is right, else the library's.

    So `f = check("2.1", f)` leaves a working `f` in any case, and the notebook goes on.
    """
    e = exercise(id)
    trial = try_answer(e, answer)
    _remember(id, trial.state)
    if trial.state == "right":
        print(f"{id} right: {e.title}")
        return answer
    if trial.state == "not attempted":
        print(f"{id} not attempted yet; going on with the library's version")
        return e.solution
    print(f"{id} not yet: {trial.misfit}")
    if trial.wrong:
        print(f"  This is: {trial.wrong.name}. {trial.wrong.hint}")
    print(f'  hint("{id}") helps; going on with the library\'s version')
    return e.solution


def hint(id: str, level: int = 1) -> None:
    """Print the first or second hint. Raises `UserError` for another level."""
    if level not in (1, 2):
        raise UserError(f"hint({id!r}, {level}): there are hints 1 and 2; after them comes solution({id!r})")
    print(f"{id} hint {level}: {exercise(id).hints[level - 1]}")


def solution(id: str) -> None:
    """Print the solution's source and why it is so."""
    e = exercise(id)
    print(textwrap.dedent(inspect.getsource(e.solution)))
    print(f"Why: {e.why}")


def progress(number: str | None = None) -> None:
    """Print how far a lesson is solved; by default the one that `setup` named last."""
    number = number or os.environ.get("MINIKIMI_LESSON", "")
    if not number:
        raise UserError('progress(): say which lesson, as in progress("02"), or call setup first')
    states, exercises = _load() | _states, lesson(number)
    solved = [e for e in exercises if states.get(e.id) == "right"]
    print(f"Lesson {number}: {len(solved)} of {len(exercises)} exercises solved")
    for e in exercises:
        print(f"  {e.id:>5} {'●' * e.difficulty:<5} {e.title:<45} {states.get(e.id, 'not attempted')}")


def _store() -> Path | None:
    return Path("progress.json") if Path.cwd().name == FOLDER else None


def _load() -> dict[str, str]:
    path = _store()
    try:
        return json.loads(path.read_text()) if path and path.exists() else {}
    except (OSError, json.JSONDecodeError):
        return {}


def _remember(id: str, state: str) -> None:
    _states[id] = state
    path = _store()
    if path is None or _load().get(id) == "right":
        return
    write_json(path, _load() | {id: state})
