"""A page of samples to look at: pictures enlarged, question and answer beneath. Look at your data first (lesson 09)."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from minikimi.data.sample import Sample
from minikimi.data.world import art
from minikimi.data.world.vocabulary import CREDIT

CELL = 240  # px, side of the square in which a sample's pictures are shown
LINE = 17  # px, one line of text
FONT_SIZE = 13
LINES = 5  # of text under a picture


def _lines(sample: Sample, room: int) -> list[str]:
    """The question, then the answer, wrapped to the cell and cut to `room` lines."""
    question = textwrap.wrap(f"{sample.task}: {sample.question}", 32)[: room - 2]
    answer = textwrap.wrap(f"→ {sample.answer}", 32)
    return (question + answer)[:room]


def _cell(sample: Sample) -> Image.Image:
    """One sample: its images in reading order, enlarged to fill the cell, then the text (all text without images)."""
    cell = Image.new("RGB", (CELL, CELL + LINES * LINE + 12), "white")
    columns = max(1, math.ceil(math.sqrt(len(sample.images))))
    share, gap = CELL // columns, max(2, 12 // columns)
    for i, image in enumerate(sample.images):
        shown = ImageOps.contain(image.convert("RGB"), (share - gap, share - gap), Image.Resampling.NEAREST)
        framed = ImageOps.expand(shown, 1, (150, 150, 150))
        left, top = i % columns * share, i // columns * share
        cell.paste(framed, (left + (share - framed.width) // 2, top + (share - framed.height) // 2))
    draw = ImageDraw.Draw(cell)
    top = CELL if sample.images else LINE
    for i, line in enumerate(_lines(sample, LINES + (CELL - top) // LINE)):
        draw.text((6, top + i * LINE), line, fill="black", font=art.font("DejaVuSans", FONT_SIZE))
    return cell


def contact_sheet(samples: Sequence[Sample], path: str | os.PathLike[str], columns: int = 4) -> Path:
    """Write `samples` as one PNG with `columns` per row and the credit for the pictures; returns the path.

    Raises ValueError when there is nothing to show or the folder does not exist.
    """
    path = Path(path)
    if not samples or columns < 1:
        raise ValueError(f"a contact sheet needs at least one sample and one column, got {len(samples)} and {columns}")
    if not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: the folder {path.parent} does not exist; create it first")
    cells = [_cell(sample) for sample in samples]
    width, height = cells[0].size
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height + 2 * LINE), "white")
    for i, cell in enumerate(cells):
        sheet.paste(cell, (i % columns * width, i // columns * height))
    ImageDraw.Draw(sheet).text(
        (6, rows * height + 6),
        CREDIT,
        fill="black",
        font=art.font("DejaVuSans", FONT_SIZE - 2),
    )
    aside = path.with_name(f".{path.name}.part")
    sheet.save(aside, format="PNG")
    os.replace(aside, path)
    return path
