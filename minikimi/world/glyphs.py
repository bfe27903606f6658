"""Characters on paper: printed or handwritten masks, one to an image token, a little turned or speckled (lesson 09).

The OCR augmentations stand in for those of the Kimi-VL report (arXiv 2504.07491, section 3.1: rotation, noise, ...).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from minikimi.world import art
from minikimi.world.canvas import CELL, Canvas, Cell, Rng, between, near_middle, pick

DIGIT_SIZES = (22, 26)
FONT_SIZES = (17, 22)
Colour = tuple[int, int, int]


@lru_cache(maxsize=4096)
def printed(letter: str, font_name: str, size: int) -> Image.Image:
    """`letter` as a mask (L, 255 = ink) cut to the ink. Shared: do not draw on it."""
    face = art.font(font_name, size)
    left, top, right, bottom = (int(side) for side in face.getbbox(letter))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), letter, fill=255, font=face)
    return mask


def handwritten(rng: Rng, digits: str, held_out: bool) -> tuple[list[Image.Image], list[int]]:
    """A mask for each of `digits`, all of one size and in handwriting of the split, and scikit-learn's indices."""
    size = between(rng, *DIGIT_SIZES)
    indices = [pick(rng, art.digit_indices(int(d), held_out)) for d in digits]
    return [art.digit_mask(i, size) for i in indices], indices


def stamp(rng: Rng, canvas: Canvas, mask: Image.Image, cell: Cell, ink: Colour) -> None:
    """Ink `mask` up to 2 px from the middle of `cell`."""
    x = cell[0] + near_middle(rng, cell[2] - cell[0], mask.width)
    y = cell[1] + near_middle(rng, cell[3] - cell[1], mask.height)
    canvas.image.paste(ink, (x, y), mask)


def wear(rng: Rng) -> dict[str, int]:
    """How a page was scanned: `rotation` of its glyphs in degrees and `noise` in grey levels, each 0 three times in
    four."""
    rotation = between(rng, 4, 10) * pick(rng, [-1, 1]) if rng.random() < 0.25 else 0
    return {"rotation": rotation, "noise": between(rng, 6, 16) if rng.random() < 0.25 else 0}


def turned(mask: Image.Image, degrees: int) -> Image.Image:
    """`mask` turned anticlockwise and cut to the ink; reduced if it would no longer fit into a cell."""
    if not degrees:
        return mask
    mask = mask.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    mask = mask.crop(mask.getbbox())
    mask.thumbnail((CELL - 2, CELL - 2))
    return mask


def speckle(rng: Rng, canvas: Canvas, noise: int) -> None:
    """Make every pixel darker or lighter by up to `noise` of 255 grey levels."""
    if noise:
        pixels = np.asarray(canvas.image, np.int16)
        grain = rng.integers(-noise, noise + 1, (*pixels.shape[:2], 1), np.int16)
        canvas.image = Image.fromarray((pixels + grain).clip(0, 255).astype(np.uint8))
