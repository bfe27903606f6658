"""The report's curves and expert loads, drawn with matplotlib's object interface and returned as PNG bytes (lessons
11, 14 and 15).

No pyplot: it keeps global state and may look for a display. matplotlib is imported only when a figure is drawn. Titles
come from files, so they are never read as mathematics.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from minikimi.report.runfiles import Columns, curve
from minikimi.training.stages import STAGES

GREY = "#7d8995"
DPI = 120
BINS = 24  # columns that each stage takes in the picture of expert loads


def axes(width: float = 2.9, height: float = 2.1) -> tuple[Any, Any]:
    """A figure of so many inches, and its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    ax.tick_params(labelsize=7)
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def png(figure: Any) -> bytes:
    """The figure's bytes, without a date in them."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def smooth(values: Sequence[float], weight: float = 0.9) -> list[float]:
    """Exponential average, corrected for its start."""
    out, mean, total = [], 0.0, 0.0
    for value in values:
        mean, total = weight * mean + (1 - weight) * value, weight * total + (1 - weight)
        out.append(mean / total)
    return out


def draw_curve(ax: Any, columns: Columns, name: str, colour: str) -> None:
    """Column `name` over the steps, faint, with its smoothed course over it; few points are joined as they are."""
    steps, values = curve(columns, name)
    if len(steps) < 30:
        ax.plot(steps, values, color=colour, lw=1.6, marker="." if len(steps) < 15 else "")
    else:
        ax.plot(steps, values, color=colour, lw=0.8, alpha=0.35)
        ax.plot(steps, smooth(values), color=colour, lw=1.8)
    ax.ticklabel_format(axis="y", scilimits=(-2, 4), useMathText=True)
    ax.yaxis.get_offset_text().set_fontsize(7)
    ax.set_xlabel("step", fontsize=8)


def curve_figure(columns: Columns, name: str, colour: str, title: str = "") -> bytes:
    """One column of a stage's metrics."""
    figure, ax = axes()
    draw_curve(ax, columns, name, colour)
    ax.set_title(title or name, fontsize=9, parse_math=False)
    return png(figure)


def loss_figure(columns: Columns, stage: str) -> bytes:
    """A stage's loss, with its learning rate behind it in grey on an axis of its own."""
    figure, ax = axes()
    rate = ax.twinx()
    ax.set_zorder(rate.get_zorder() + 1)
    ax.patch.set_visible(False)
    rate.fill_between(*curve(columns, "lr"), color="#e3e8ee", lw=0)
    rate.set_ylim(bottom=0)
    rate.spines[["top"]].set_visible(False)
    rate.tick_params(labelsize=6, colors=GREY)
    rate.ticklabel_format(axis="y", scilimits=(-2, 4), useMathText=True)
    rate.yaxis.get_offset_text().set(fontsize=6, color=GREY)
    draw_curve(ax, columns, "loss", STAGES[stage].colour)
    ax.set_title(f"{stage}: loss", fontsize=9, parse_math=False)
    return png(figure)


def load_panels(columns: Mapping[str, list[float]]) -> dict[int, tuple[list[float], list[list[float]]]]:
    """Per layer: its steps, and the expert loads at each step relative to the even share (1 is balance)."""
    experts = [name for name in columns if name not in ("step", "layer")]
    panels: dict[int, tuple[list[float], list[list[float]]]] = {}
    for row, (step, layer) in enumerate(zip(columns.get("step", []), columns.get("layer", []), strict=False)):
        loads = [columns[name][row] for name in experts]
        if loads and all(map(math.isfinite, [step, layer, *loads])):
            steps, grid = panels.setdefault(int(layer), ([], []))
            steps.append(step)
            grid.append([load * len(loads) / (sum(loads) or 1.0) for load in loads])
    return panels


def violation(columns: Columns) -> dict[int, float]:
    """Per layer, max(load) / even share - 1 at the last step: 0 is perfect balance (DeepSeek's MaxVio)."""
    return {layer: max(grid[-1]) - 1 for layer, (_, grid) in sorted(load_panels(columns).items())}


def load_figures(loads: Mapping[str, Columns]) -> dict[str, bytes]:
    """A heat map per expert layer over all stages, each stage drawn equally wide. White is the even share, blue
    nothing, red twice it or more.
    """
    panels = {stage: found for stage, columns in loads.items() if (found := load_panels(columns))}
    layers = sorted({layer for found in panels.values() for layer in found})
    grids = {i: {stage: found[i][1] for stage, found in panels.items() if i in found} for i in layers}
    return {f"load of expert layer {layer} over the stages": load_figure(layer, grids[layer]) for layer in layers}


def load_figure(layer: int, grids: Mapping[str, list[list[float]]]) -> bytes:
    experts = max(len(grid[0]) for grid in grids.values())
    columns = [grid[i * len(grid) // BINS] for grid in grids.values() for i in range(BINS)]
    columns = [column + [math.nan] * (experts - len(column)) for column in columns]
    figure, ax = axes(4.2, 2.3)
    ax.imshow(list(zip(*columns, strict=True)), cmap="RdBu_r", vmin=0, vmax=2, aspect="auto", origin="lower",
              interpolation="nearest")  # fmt: skip
    for i in range(1, len(grids)):
        ax.axvline(BINS * i - 0.5, color="black", lw=0.7)
    ax.set_xticks([BINS * (i + 0.5) - 0.5 for i in range(len(grids))], list(grids), rotation=30 * (len(grids) > 5))
    ax.set_yticks(range(0, experts, max(experts // 4, 1)))
    ax.set_ylabel("expert", fontsize=8)
    ax.set_title(f"expert layer {layer}", fontsize=9)
    return png(figure)


def scaling_figure(limits: Sequence[float], mean: Sequence[float], interval: Sequence[Sequence[float]]) -> bytes:
    """Accuracy against the limit of thinking tokens, its interval as a band; limits stand equally far apart."""
    figure, ax = axes(3.6, 2.3)
    places = list(range(len(limits)))
    if interval:
        ax.fill_between(places, [100 * low for low, _ in interval], [100 * high for _, high in interval], alpha=0.18,
                        color=STAGES["rl"].colour, lw=0)  # fmt: skip
    ax.plot(places, [100 * share for share in mean], color=STAGES["rl"].colour, marker="o", ms=4)
    ax.set_xticks(places, [f"{limit:g}" for limit in limits])
    ax.set_ylim(0, 100)
    ax.set_xlabel("thinking tokens allowed", fontsize=8)
    ax.set_ylabel("right, %", fontsize=8)
    return png(figure)
