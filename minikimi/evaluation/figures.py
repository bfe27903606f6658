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

COLOURS = {"vit": "#2a6fdb", "align": "#d9822b", "joint": "#2b9a66", "sft": "#a8408f"}
DPI = 110


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


def curves_figure(stages: dict[str, dict[str, list[float]]], name: str, label: str, average: bool) -> bytes | None:
    """One panel per stage that has column `name`, over its steps; `average` lays a smoothed curve over the raw one."""
    panels = {stage: curve(columns, name) for stage, columns in stages.items()}
    panels = {stage: xy for stage, xy in panels.items() if xy[0]}
    if not panels:
        return None
    figure, axes = _axes(1, len(panels), width=2.6 * len(panels), height=2.3)
    for ax, (stage, (steps, values)) in zip(axes, panels.items(), strict=True):
        colour = COLOURS.get(stage, "#444444")
        ax.plot(steps, values, color=colour, lw=0.8 if average else 1.6, alpha=0.35 if average else 1.0)
        if average:
            ax.plot(steps, smooth(values), color=colour, lw=1.8)
        ax.set_title(stage, fontsize=10)
        ax.set_xlabel("step", fontsize=8)
    axes[0].set_ylabel(label, fontsize=9)
    return _png(figure)


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


def load_figure(columns: dict[str, list[float]], title: str) -> bytes | None:
    """Heat maps of expert load over time, one panel per layer, in multiples of the even share (1 = balanced)."""
    panels = load_panels(columns)
    if not panels:
        return None
    figure, axes = _axes(1, len(panels), width=2.7 * len(panels) + 0.6, height=2.5)
    for ax, (layer, (steps, grid)) in zip(axes, sorted(panels.items()), strict=True):
        relative = [[load * len(loads) / (sum(loads) or 1.0) for load in loads] for loads in grid]
        extent = (steps[0], max(steps[-1], steps[0] + 1), 0, len(grid[0]))
        heat = list(zip(*relative, strict=True))  # experts by steps
        image = ax.imshow(heat, extent=extent, cmap="RdBu_r", vmin=0, vmax=2, aspect="auto", origin="lower",
                          interpolation="nearest")  # fmt: skip
        ax.set_title(f"{title}, expert layer {layer}", fontsize=9)
        ax.set_xlabel("step", fontsize=8)
    axes[0].set_ylabel("expert", fontsize=9)
    bar = figure.colorbar(image, ax=axes, fraction=0.03, pad=0.02)
    bar.set_label("load / even share", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return _png(figure)


def violation(columns: dict[str, list[float]]) -> dict[int, float]:
    """Per layer, max(load) / even share - 1 at the last step: 0 is perfect balance (DeepSeek's MaxVio)."""
    return {
        layer: max(grid[-1]) * len(grid[-1]) / (sum(grid[-1]) or 1.0) - 1
        for layer, (_, grid) in sorted(load_panels(columns).items())
    }


def _axes(rows: int, columns: int, width: float, height: float) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(width, 3.2), height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes:
        ax.tick_params(labelsize=7)
        ax.spines[["top", "right"]].set_visible(False)
        ax.ticklabel_format(axis="y", scilimits=(-2, 4), useMathText=True)
        ax.yaxis.get_offset_text().set_fontsize(7)
    return figure, axes


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
