"""Writing on a sheet: a row of characters, and texts that belong to the split; for `number` and `word` (lesson 09).

The OCR part of the Kimi-VL report's data (arXiv 2504.07491, section 3.1) at toy scale.
"""

from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from minikimi.world import glyphs
from minikimi.world.canvas import Canvas, Rng, pick
from minikimi.world.holdout import text_held_out, text_unseen
from minikimi.world.vocabulary import INKS

FREE = 40  # most free paper to the right and below, px


def write(rng: Rng, masks: list[Image.Image], held_out: bool) -> tuple[Canvas, dict[str, int]]:
    """Masks (L, 255 = ink) from left to right in one ink, one to a cell of 28 px, up to 2 px from the cell's middle;
    some turned, some speckled: `rotation` and `noise` say how much.

    As on a letter board, the first cell is at the top left, and a cell is what becomes one image token: to read at any
    offset, a vision transformer needs far more pictures than minutes allow. How much free paper follows is drawn.
    """
    canvas = Canvas.sheet(rng, 1, len(masks), held_out, free=FREE)
    ink, worn = pick(rng, INKS), glyphs.wear(rng)
    for mask, cell in zip(masks, canvas.cells(1, len(masks)), strict=True):
        glyphs.stamp(rng, canvas, glyphs.turned(mask, worn["rotation"]), cell, ink)
    glyphs.speckle(rng, canvas, worn["noise"])
    return canvas, worn


def fitting(draw_text: Callable[[], str], held_out: bool) -> str:
    """The first drawn text that may be asked for in the split."""
    while True:
        text = draw_text()
        if text_unseen(text) if held_out else not text_held_out(text):
            return text
