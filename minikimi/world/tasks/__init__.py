"""The tasks of the picture world, one file each (lesson 09).

They follow the data categories of the Kimi-VL report (arXiv 2504.07491, section 3.1): captions and grounding,
knowledge, reading, screens, documents of many images, clips, and text alone. A new task is a new file here with a
`TASK`, and its test.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from minikimi.answers import Verdict
from minikimi.errors import unknown
from minikimi.sample import Sample
from minikimi.world.task import Task, exactly

# Simple ones first; tasks that are not listed come after these, by name. `PictureWorld` draws tasks in this order, so
# a change of it changes every default world.
READING_ORDER = [
    *("glyph", "caption", "where", "count", "group", "flag"),
    *("number", "word", "table", "receipt", "chart", "sum", "arithmetic"),
    *("click", "motion", "order", "pages", "pages_long", "compare"),
    *("needle", "needle_512", "needle_2048", "desktop", "story"),
]


def _found() -> dict[str, Task]:
    """The `TASK` of every file in this folder, in reading order."""
    tasks: list[Task] = [import_module(f"{__name__}.{file.name}").TASK for file in iter_modules(__path__)]
    place = {name: number for number, name in enumerate(READING_ORDER)}
    tasks.sort(key=lambda task: (place.get(task.name, len(place)), task.name))
    return {task.name: task for task in tasks}


TASKS = _found()


def task_named(name: str) -> Task:
    """The task of this name. Raises `UserError` if there is none."""
    if name not in TASKS:
        raise unknown("task of the picture world", name, TASKS)
    return TASKS[name]


def group_of(name: str) -> str:
    """The group of a task. Raises `UserError` if there is no such task."""
    return task_named(name).group


def tasks_of(group: str) -> tuple[str, ...]:
    """The names of all tasks of a group, in reading order. Raises `UserError` if there are none."""
    names = tuple(task.name for task in TASKS.values() if task.group == group)
    if not names:
        raise unknown("group of the picture world", group, dict.fromkeys(task.group for task in TASKS.values()))
    return names


def judged(sample: Sample, output: str, alone: bool = False) -> Verdict:
    """The verdict of the sample's task; `exactly` for data that comes from elsewhere. alone: see `answers.py`."""
    task = TASKS.get(sample.task)
    return (task.judge if task else exactly)(sample, output, alone)
