"""`configs/evaluate.yaml`, with what a preset changes in it, as a typed value (lesson 15)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from minikimi import configs
from minikimi.errors import UserError

LISTS = ("needle_lengths", "scaling_limits")


@dataclass(frozen=True)
class Settings:
    """How much an evaluation asks.

    per_task: held-out questions of each task; stage_per_task: as many after each stage. seed: of the held-out world.
    answer_tokens: the longest answer. thinking_tokens: room for worked steps, in tasks that have them. prior_samples:
    training samples of each task that the commonest answers are counted on. needle_lengths: tokens
    of the texts in the needle map; needle_depths: how many depths from start to end; needles_per_cell: texts of each
    length and depth; stage_needles: as many after a stage. scaling_limits: thinking tokens allowed, in rising order;
    scaling_per_task: questions for each. shown: sample conversations kept for the report.
    """

    per_task: int
    stage_per_task: int
    seed: int
    answer_tokens: int
    thinking_tokens: int
    prior_samples: int
    needle_lengths: tuple[int, ...]
    needle_depths: int
    needles_per_cell: int
    stage_needles: int
    scaling_limits: tuple[int, ...]
    scaling_per_task: int
    shown: int

    @property
    def depths(self) -> list[float]:
        """Depths in the needle map, from 0 to 1."""
        return [i / max(self.needle_depths - 1, 1) for i in range(self.needle_depths)]

    def for_stage(self) -> Settings:
        """The short form that runs after every stage."""
        return replace(self, per_task=self.stage_per_task, needles_per_cell=self.stage_needles)


def settings(preset: str) -> Settings:
    """Read the settings of a preset. Raises `UserError` for a missing file and wrong, missing or unknown entries."""
    return check(configs.settings(preset, "evaluate"), f"evaluate.yaml of {preset}")


def check(given: Mapping[str, Any], where: str) -> Settings:
    """The entries of a settings file, all there, whole and positive."""
    names = {field.name for field in fields(Settings)}
    for problem, wrong in (("no", names - given.keys()), ("unknown", given.keys() - names)):
        if wrong:
            raise UserError(f"{where}: {problem} entry {', '.join(sorted(wrong))}; correct the file")
    for name, value in given.items():
        least = 0 if name in ("seed", "shown", "scaling_limits") else 1
        numbers = value if name in LISTS and isinstance(value, list) else [value]
        if not numbers or any(type(number) is not int or number < least for number in numbers):
            what = "whole numbers" if name in LISTS else "a whole number"
            raise UserError(f"{where}: {name} must be {what} of at least {least}, not {value!r}; correct the file")
        if name in LISTS and sorted(set(numbers)) != value:
            raise UserError(f"{where}: {name} must be a rising list, not {value!r}; correct the file")
    values_of: dict[str, Any] = {name: tuple(value) if name in LISTS else value for name, value in given.items()}
    return Settings(**values_of)
