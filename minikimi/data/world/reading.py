"""Tasks about reading: `number` (handwritten digits) and `word` (printed capitals) (lesson 09).

The OCR part of the Kimi-VL report's data (arXiv 2504.07491, section 3.1) at toy scale.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from minikimi.data.world import art
from minikimi.data.world.canvas import (
    Canvas,
    Rng,
    Scene,
    between,
    draw_resolution,
    near_middle,
    pick,
)
from minikimi.data.world.holdout import text_held_out
from minikimi.data.world.vocabulary import INKS
from minikimi.data.world.words import draw_text

CELL = 28  # px: 2 x 2 patches
DIGIT_SIZES = (22, 26)
FONT_SIZES = (17, 22)

NUMBER_QUESTIONS = [
    "Which number is written here?",
    "Read the number.",
    "What number do you see?",
]
WORD_QUESTIONS = [
    "Which word is printed here?",
    "Read the word.",
    "What does the sign say?",
]


def _write(rng: Rng, glyphs: list[Image.Image], held_out: bool) -> Canvas:
    """Masks (L, 255 = ink) from left to right in one ink, one to a cell of 28 px, up to 2 px from the cell's middle.

    As on a letter board, the first cell is at the top left, and a cell is what becomes one image token: to read at any
    offset, a vision transformer needs far more pictures than minutes allow. How much free paper follows is drawn.
    """
    width, height = CELL * len(glyphs), CELL
    canvas = Canvas.blank(rng, draw_resolution(rng, (width, width + 40), (height, height + 40), held_out))
    ink = pick(rng, INKS)
    for i, glyph in enumerate(glyphs):
        x, y = CELL * i + near_middle(rng, CELL, glyph.width), near_middle(rng, CELL, glyph.height)
        canvas.image.paste(ink, (x, y), glyph)
    return canvas


def number(rng: Rng, held_out: bool) -> Scene:
    """A handwritten number of one, two or three digits, equally often; the answer is its digits."""
    low, high = pick(rng, [(0, 9), (10, 99), (100, 999)])
    value = str(between(rng, low, high))
    while text_held_out(value) != held_out:
        value = str(between(rng, low, high))
    size = between(rng, *DIGIT_SIZES)
    indices = [pick(rng, art.digit_indices(int(d), held_out)) for d in value]
    canvas = _write(rng, [art.digit_mask(i, size) for i in indices], held_out)
    facts = canvas.facts("number", value=value, digit_indices=indices)
    return Scene([canvas.image], pick(rng, NUMBER_QUESTIONS), value, f"the number {value}", facts)


def _print(letter: str, font_name: str, size: int) -> Image.Image:
    """`letter` as a mask cut to the ink."""
    face = art.font(font_name, size)
    left, top, right, bottom = (int(side) for side in face.getbbox(letter))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), letter, fill=255, font=face)
    return mask


def word(rng: Rng, held_out: bool) -> Scene:
    """A printed word of three to five capitals or a code of one to five; the answer is the same letters."""
    text = draw_text(rng)
    while text_held_out(text) != held_out:
        text = draw_text(rng)
    font_name, size = pick(rng, art.FONTS), between(rng, *FONT_SIZES)
    canvas = _write(rng, [_print(letter, font_name, size) for letter in text], held_out)
    facts = canvas.facts("word", value=text, font=font_name, size=size)
    return Scene([canvas.image], pick(rng, WORD_QUESTIONS), text, f"the word {text}", facts)
