"""What a run directory holds for the report card, read once: scores, metrics, expert loads, rollouts (lesson 15).

Runs are killed, half-trained and hand-edited, so nothing here trusts a file: what is missing becomes empty, cells that
are no number become NaN, and entries of another type than the format's are left out.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minikimi.errors import UserError
from minikimi.files import lines_of
from minikimi.training.stages import STAGES

Columns = dict[str, list[float]]


@dataclass(frozen=True)
class RunFiles:
    """A run: evaluation.json, by stage scores.json (where there is one), metrics.csv and expert_load.csv, and what
    reinforcement learning gained, rl/gain.json.
    """

    directory: Path
    evaluation: dict[str, Any]
    scores: dict[str, dict[str, Any]]
    metrics: dict[str, Columns]
    loads: dict[str, Columns]
    gain: dict[str, Any]


def read_run(directory: Path) -> RunFiles:
    """Read all that is there. Raises `UserError` for a missing directory, or JSON that is broken or no object."""
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; give the directory of a run")
    scores = {stage: read_object(directory / stage / "scores.json") for stage in STAGES}
    return RunFiles(
        directory,
        read_object(directory / "evaluation.json"),
        {stage: values for stage, values in scores.items() if values},
        {stage: read_columns(directory / stage / "metrics.csv") for stage in STAGES},
        {stage: read_columns(directory / stage / "expert_load.csv") for stage in STAGES},
        read_object(directory / "rl" / "gain.json"),
    )


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object; an empty dictionary if there is no such file."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); run the evaluation again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no JSON object; run the evaluation again")
    return values


def read_columns(path: Path) -> Columns:
    """A CSV file by column; empty or unreadable cells become NaN. A missing file gives an empty dictionary."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        rows = list(csv.DictReader(file))
    names = rows[0].keys() if rows else []
    return {name: [_parsed(row[name]) for row in rows] for name in names if name is not None}


def _parsed(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def read_rollouts(directory: Path) -> list[dict[str, Any]]:
    """The rows of rl/rollouts.jsonl, without lines that a kill has cut."""
    path = directory / "rl" / "rollouts.jsonl"
    rows = []
    for line in lines_of(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return [row for row in rows if isinstance(row, dict)]


def curve(columns: Mapping[str, list[float]], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of a column, without the rows in which it is empty."""
    pairs = zip(columns.get("step", []), columns.get(name, []), strict=False)
    kept = [(step, value) for step, value in pairs if math.isfinite(step) and math.isfinite(value)]
    return [step for step, _ in kept], [value for _, value in kept]


def number(value: Any) -> float | None:
    """`value` if it is a finite number, else None."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def table(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The object `values[name]`; an empty one if it is missing or something else."""
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def rows(values: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    """The objects in the object `values[name]`."""
    return {key: row for key, row in table(values, name).items() if isinstance(row, dict)}


def sequence(values: Mapping[str, Any], name: str) -> list[Any]:
    """The list `values[name]`; an empty one if it is missing or something else."""
    found = values.get(name)
    return found if isinstance(found, list) else []


def interval_of(row: Mapping[str, Any]) -> tuple[float, float] | None:
    """The two ends of a row's interval, if they are there."""
    ends = [number(end) for end in sequence(row, "interval")]
    return (ends[0], ends[1]) if len(ends) == 2 and ends[0] is not None and ends[1] is not None else None


def stage_facts(run: RunFiles, stage: str) -> dict[str, float]:
    """steps, tokens and minutes of a stage, from its metrics, or from the evaluation if those are gone; {} for
    neither.
    """
    metrics = run.metrics[stage]
    steps, _ = curve(metrics, "step")
    if not steps:
        recorded = table(table(run.evaluation, "stages"), stage)
        facts = {name: number(recorded.get(name)) for name in ("steps", "tokens", "minutes")}
        return {name: value for name, value in facts.items() if value is not None}
    timed = zip(metrics.get("seconds", []), metrics.get("tokens_per_second", []), strict=False)
    pairs = [(seconds, rate) for seconds, rate in timed if math.isfinite(seconds) and math.isfinite(rate)]
    seconds, tokens = sum(s for s, _ in pairs), sum(s * rate for s, rate in pairs)
    return {"steps": max(steps), **({"tokens": tokens, "minutes": seconds / 60} if pairs else {})}
