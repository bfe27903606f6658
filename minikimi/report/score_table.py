"""The table that `minikimi evaluate` prints: the seven benchmarks and their mean (lesson 15)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def percent(share: float | None) -> str:
    """0.724 as 72 %; a dash for None."""
    return "–" if share is None else f"{100 * share:.0f} %"


def cells(row: Mapping[str, Any]) -> list[str]:
    """The numbers of one row."""
    low, high = row["interval"]
    interval = f"{100 * low:.0f} – {100 * high:.0f} %"
    shares = [percent(row[name]) for name in ("blind", "chance", "prior", "parse_failures")]
    return [percent(row["score"]), interval, *shares, str(row["n"])]


def results_table(evaluation: Mapping[str, Any]) -> Table:
    """Seven rows and their mean; the rows of single tasks are in evaluation.json."""
    table = Table(title=f"Held-out questions (form: {evaluation['form']})")
    table.add_column("benchmark")
    for name in ("score", "95 % interval", "blind", "chance", "prior", "not parsed", "n"):
        table.add_column(name, justify="right")
    for name, row in evaluation["benchmarks"].items():
        table.add_row(name, *cells(row))
    table.add_row("mean", *cells(evaluation["mean"]), style="bold")
    return table
