"""A page of samples to look at: pictures enlarged, question and answer beneath. Look at your data first (lesson 09).

No font that comes with an installed package has Chinese characters, so those are shown by number: `\\u732b` is the cat.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from minikimi.files import written_aside
from minikimi.sample import Sample
from minikimi.world import art
from minikimi.world.vocabulary import CREDIT

CELL = 240  # px, side of the square in which a sample's pictures are shown
LINE = 17  # px, one line of text
FONT_SIZE = 13
LINES = 5  # of text under a picture
WIDTH = 32  # characters of a line
FIRST_CHINESE = 0x2E80  # what lies beyond is not in the font


def _readable(text: str) -> str:
    """The text with every character that the font does not have as its number."""
    return "".join(c if ord(c) < FIRST_CHINESE else f"\\u{ord(c):04x}" for c in text)


def _lines(sample: Sample, room: int) -> list[str]:
    """The question, then the answer, wrapped to the cell and cut to `room` lines. Of a long question the beginning and
    the end are shown: the end is what is asked."""
    answer = textwrap.wrap(_readable(f"→ {sample.answer}"), WIDTH)[: room - 2]
    question = textwrap.wrap(_readable(f"{sample.task}: {sample.question}"), WIDTH)
    left = room - len(answer)
    if len(question) > left:
        end = min(3, left // 2)
        question = [*question[: left - end - 1], "…", *question[len(question) - end :]]
    return question + answer


def _columns(images: Sequence[Image.Image]) -> int:
    """In how many columns images of these sizes are shown largest in a square; the more, if it makes no difference."""
    width, height = (max(image.size[side] for image in images) for side in (0, 1))

    def scale(columns: int) -> float:
        return min(1 / (columns * width), 1 / (math.ceil(len(images) / columns) * height))

    return max(range(len(images), 0, -1), key=scale)


def _show(cell: Image.Image, images: Sequence[Image.Image]) -> None:
    """Put the images into the square at the top of the cell, in reading order and as large as they can be."""
    columns = _columns(images)
    width, height = CELL // columns, CELL // math.ceil(len(images) / columns)
    gap = max(4, 12 // columns)
    for i, image in enumerate(images):
        way = Image.Resampling.NEAREST if image.width <= width - gap else Image.Resampling.LANCZOS
        shown = ImageOps.contain(image.convert("RGB"), (width - gap, height - gap), way)
        framed = ImageOps.expand(shown, 1, (150, 150, 150))
        left, top = i % columns * width, i // columns * height
        cell.paste(framed, (left + (width - framed.width) // 2, top + (height - framed.height) // 2))


def _cell(sample: Sample) -> Image.Image:
    """One sample: its images, then the text; all text if it has no images."""
    cell = Image.new("RGB", (CELL, CELL + LINES * LINE + 12), "white")
    if sample.images:
        _show(cell, sample.images)
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
    with written_aside(path) as unfinished:
        sheet.save(unfinished, format="PNG")
    return path
