"""The report's pictures, drawn with matplotlib's object interface and returned as PNG bytes (lessons 11 and 15).

No pyplot: it keeps global state and may look for a display. matplotlib is imported only when a figure is drawn.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COLOURS = {"text": "#8a6d3b", "vit": "#2a6fdb", "align": "#d9822b", "joint": "#2b9a66", "sft": "#a8408f"}
DPI = 130


def read_columns(path: Path) -> dict[str, list[float]]:
    """A CSV file by column; empty or unreadable cells become NaN. A missing file gives an empty dictionary."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = rows[0].keys() if rows else []
    return {name: [_number(row[name]) for row in rows] for name in names if name is not None}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def curve(columns: dict[str, list[float]], name: str) -> tuple[list[float], list[float]]:
    """Steps and values of a column, without the rows in which it is empty (each logger call fills a row of its own)."""
    pairs = zip(columns.get("step", []), columns.get(name, []), strict=False)
    kept = [(step, value) for step, value in pairs if math.isfinite(step) and math.isfinite(value)]
    return [step for step, _ in kept], [value for _, value in kept]


def smooth(values: Sequence[float], weight: float = 0.9) -> list[float]:
    """Exponential average, corrected for its start."""
    out, mean, total = [], 0.0, 0.0
    for value in values:
        mean, total = weight * mean + (1 - weight) * value, weight * total + (1 - weight)
        out.append(mean / total)
    return out


def curve_figures(stages: dict[str, dict[str, list[float]]], name: str, average: bool) -> dict[str, bytes]:
    """One picture per stage that has column `name`; `average` lays a smoothed curve over the raw one."""
    pictures = {}
    for stage, columns in stages.items():
        steps, values = curve(columns, name)
        if not steps:
            continue
        figure, ax = _axes()
        colour = COLOURS.get(stage, "#444444")
        ax.plot(steps, values, color=colour, lw=0.8 if average else 1.6, alpha=0.35 if average else 1.0)
        if average:
            ax.plot(steps, smooth(values), color=colour, lw=1.8)
        ax.set_title(f"{stage}: {name}", fontsize=10)
        ax.set_xlabel("step", fontsize=8)
        pictures[f"{stage}: {name}"] = _png(figure)
    return pictures


def load_panels(columns: dict[str, list[float]]) -> dict[int, tuple[list[float], list[list[float]]]]:
    """Per layer: its steps, and the expert loads at each step as shares of all tokens."""
    experts = [name for name in columns if name not in ("step", "layer")]
    panels: dict[int, tuple[list[float], list[list[float]]]] = {}
    for row, (step, layer) in enumerate(zip(columns.get("step", []), columns.get("layer", []), strict=True)):
        loads = [columns[name][row] for name in experts]
        if all(map(math.isfinite, [step, layer, *loads])):
            steps, grid = panels.setdefault(int(layer), ([], []))
            steps.append(step)
            grid.append(loads)
    return panels


def load_figures(columns: dict[str, list[float]], stage: str) -> dict[str, bytes]:
    """A heat map per layer of expert load over time. White is the even share, blue none, red twice it or more."""
    pictures = {}
    for layer, (steps, grid) in sorted(load_panels(columns).items()):
        relative = [[load * len(loads) / (sum(loads) or 1.0) for load in loads] for loads in grid]
        heat = list(zip(*relative, strict=True))  # experts by steps
        figure, ax = _axes()
        extent = (steps[0], max(steps[-1], steps[0] + 1), -0.5, len(heat) - 0.5)
        ax.imshow(heat, extent=extent, cmap="RdBu_r", vmin=0, vmax=2, aspect="auto", origin="lower",
                  interpolation="nearest")  # fmt: skip
        ax.set_title(f"{stage}: expert layer {layer}", fontsize=10)
        ax.set_xlabel("step", fontsize=8)
        ax.set_ylabel("expert", fontsize=8)
        ax.set_yticks(range(0, len(heat), max(len(heat) // 4, 1)))
        pictures[f"{stage}: load of expert layer {layer}"] = _png(figure)
    return pictures


def violation(columns: dict[str, list[float]]) -> dict[int, float]:
    """Per layer, max(load) / even share - 1 at the last step: 0 is perfect balance (DeepSeek's MaxVio)."""
    return {
        layer: max(grid[-1]) * len(grid[-1]) / (sum(grid[-1]) or 1.0) - 1
        for layer, (_, grid) in sorted(load_panels(columns).items())
    }


def _axes() -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.9, 2.1), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    ax.tick_params(labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)
    ax.ticklabel_format(axis="y", scilimits=(-2, 4), useMathText=True)
    ax.yaxis.get_offset_text().set_fontsize(7)
    return figure, ax


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
