"""The same claims in a trained run, where one exists: what its directory says, one seed and no verdict (lesson 15).

Stages leave `scores.json`, `metrics.csv` and, in rl, `gain.json`; the run leaves `evaluation.json`. What is not there
is not told.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from minikimi.report.runfiles import curve, read_columns
from minikimi.training.stages import BEFORE_LONG, LONG


def trained_rows(run: Path) -> dict[str, str]:
    """By name of a finding, one sentence about `run`; empty if it is no finished run."""
    readers: dict[str, Callable[[Path], str]] = {
        "balance": balance, "needle": needle, "cot": cot, "rl": rl, "length_penalty": length, "test_time": test_time,
    }  # fmt: skip
    rows = {}
    for name, reader in readers.items():
        try:
            rows[name] = f"trained run {run.name}: {reader(run)}"
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            continue  # this part of the run is missing, unfinished, or of an older format
    return rows


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def values(run: Path, stage: str, name: str) -> list[float]:
    """A column of the stage's metrics.csv; raises `IndexError` if there is none."""
    numbers = curve(read_columns(run / stage / "metrics.csv"), name)[1]
    if not numbers:
        raise IndexError(name)
    return numbers


def ends(numbers: list[float]) -> tuple[float, float]:
    """Means of the first and the last tenth."""
    tenth = max(1, len(numbers) // 10)
    return mean(numbers[:tenth]), mean(numbers[-tenth:])


def balance(run: Path) -> str:
    first, last = ends(values(run, "joint", "max_violation"))
    return f"max violation {first:.2f} at the start of joint training, {last:.2f} at its end"


def needle(run: Path) -> str:
    return f"recall before {recalls(run, BEFORE_LONG)}; after {recalls(run, LONG[-1])}"


def recalls(run: Path, stage: str) -> str:
    """Recall by length, averaged over depths."""
    table = read(run / stage / "scores.json")["needle_map"]
    rows = zip(table["lengths"], table["recall"], strict=True)
    known = [(length, [share for share in row if share is not None]) for length, row in rows]
    return ", ".join(f"{length} tokens {100 * mean(row):.0f} %" for length, row in known if row)


def cot(run: Path) -> str:
    before, after = (read(run / stage / "scores.json")["tasks"]["sum"]["score"] for stage in ("sft", "longcot"))
    return f"handwritten sums right: {100 * before:.0f} % answered at once (sft), {100 * after:.0f} % worked (longcot)"


def rl(run: Path) -> str:
    found = read(run / "rl" / "gain.json")
    low, high = found["gain"]["interval"]
    return (
        f"pass@1 on {found['problems']} held-out sums {100 * found['before']['pass@1']:.1f} % before and "
        f"{100 * found['after']['pass@1']:.1f} % after; gain {100 * found['gain']['pass@1']:+.1f} points "
        f"({100 * low:+.1f} to {100 * high:+.1f})"
    )


def length(run: Path) -> str:
    found = read(run / "rl" / "gain.json")
    return (
        f"mean response to held-out sums {found['before_length']['tokens']:.1f} tokens when the length reward began, "
        f"{found['after']['tokens']:.1f} at the end; pass@1 {100 * found['by_length']['pass@1']:+.1f} points"
    )


def test_time(run: Path) -> str:
    scaling = read(run / "evaluation.json")["test_time_scaling"]
    pairs = zip(scaling["limits"], scaling["mean"], strict=True)
    return "percent right by limit: " + ", ".join(f"{limit}: {100 * share:.0f}" for limit, share in pairs)
