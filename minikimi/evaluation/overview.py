"""samples.png, the picture of the README: what a model said about a few pictures, right and wrong (lesson 15)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from minikimi.processor.text.chat import END_THINK, THINK

COLUMNS, SIZE = 4, (3.0, 4.0)  # samples in a row, and the inches of each
WIDTH, LINES = 37, 4  # characters of a line of text, and the most lines of an answer
RIGHT, WRONG = "#0a9a4a", "#c23434"
CREDIT = (
    "Right and wrong in the proportion of the whole examination. "
    "Pictures: OpenMoji (openmoji.org), CC BY-SA 4.0; digits: scikit-learn, UCI"
)


def draw_overview(run: Path, samples: Sequence[Mapping[str, Any]]) -> None:
    """Write `run`/samples.png from the entry `samples` of evaluation.json, whose pictures lie in the run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(1, -(-len(samples) // COLUMNS))
    figure = Figure(figsize=(COLUMNS * SIZE[0], rows * SIZE[1] + 0.3), dpi=80)
    FigureCanvasAgg(figure)
    for place, sample in zip(figure.subfigures(rows, COLUMNS, squeeze=False).flat, samples, strict=False):
        draw_images(place, [run / name for name in sample["images"]])
        write(place, sample)
    figure.text(0.01, 0.003, CREDIT, fontsize=9)
    figure.savefig(run / "samples.png", metadata={"Software": None})
    Image.open(run / "samples.png").convert("RGB").quantize(128).save(run / "samples.png", optimize=True)


def draw_images(place: Any, paths: Sequence[Path]) -> None:
    """The pictures of one sample in the upper part of its place."""
    columns = 1 if len(paths) < 2 else 2 if len(paths) <= 6 else 5
    grid = place.add_gridspec(
        max(1, -(-len(paths) // columns)),
        columns,
        left=0.04,
        right=0.96,
        top=0.97,
        bottom=0.4,
        hspace=0.08,
        wspace=0.08,
    )
    for k, path in enumerate(paths):
        ax = place.add_subplot(grid[k // columns, k % columns])
        ax.imshow(Image.open(path), interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("#999999")


def write(place: Any, sample: Mapping[str, Any]) -> None:
    """Question, answer with its thought in brackets and, if it is wrong, the truth, below the pictures."""
    said = str(sample["raw"]).replace(THINK, "(").replace(END_THINK, ") ").replace("\n", " ")
    parts = [(f"{sample['task']}: {sample['question']}", 2, "black")]
    parts += [(f"→ {said}", LINES, RIGHT if sample["correct"] else WRONG)]
    parts += [("✓ right", 1, RIGHT) if sample["correct"] else (f"✗ wrong, it is: {sample['truth']}", 2, WRONG)]
    top = 0.37
    for text, most, colour in parts:
        lines = textwrap.wrap(printable(text), WIDTH)[:most]
        place.text(0.04, top, "\n".join(lines), va="top", fontsize=9.5, color=colour, parse_math=False)
        top -= 0.043 * len(lines) + 0.01


def printable(text: str) -> str:
    """The text with a question mark for each character that matplotlib's own font lacks, such as Chinese."""
    return "".join(c if ord(c) < 0x2E80 else "?" for c in text)
