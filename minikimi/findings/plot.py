"""Pictures of the findings: one figure each, as PNG bytes; no pyplot, which keeps global state."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

from minikimi.findings.finding import Measurement

COLOURS = {"muon": "#2a6fdb", "adamw": "#d9822b", "with": "#2a6fdb", "without": "#d9822b", "paper": "#1d2733"}


def figure(
    title: str, draw: Callable[[Any, Sequence[Measurement]], None], measurements: Sequence[Measurement]
) -> bytes:
    """A picture of 5.2 x 3.2 inches that `draw` fills from the measurements of all seeds."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(5.2, 3.2), dpi=120, layout="constrained")
    FigureCanvasAgg(canvas)
    ax = canvas.add_subplot()
    ax.set_title(title, fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=8)
    draw(ax, measurements)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=8, frameon=False)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def lines(ax: Any, xs: Sequence[float], rows: Sequence[Sequence[float]], label: str, colour: str, **style: Any) -> None:
    """One thin line for each seed and a thick one for their mean."""
    for row in rows:
        ax.plot(xs, row, color=colour, lw=0.8, alpha=0.4, **style)
    ax.plot(xs, [sum(place) / len(rows) for place in zip(*rows, strict=True)], color=colour, lw=2, label=label, **style)


def bars(ax: Any, labels: Sequence[str], rows: Sequence[Sequence[float]], colours: Sequence[str]) -> None:
    """A bar of the mean for each label, and a dot for each seed; rows: seeds by labels."""
    means = [sum(place) / len(rows) for place in zip(*rows, strict=True)]
    ax.bar(range(len(labels)), means, color=list(colours), width=0.6, alpha=0.85)
    for row in rows:
        ax.plot(range(len(labels)), row, "o", color="#1d2733", ms=4)
    ax.set_xticks(range(len(labels)), labels, fontsize=8)
