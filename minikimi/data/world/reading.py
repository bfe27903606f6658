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
    pick,
)
from minikimi.data.world.holdout import text_held_out
from minikimi.data.world.vocabulary import INKS
from minikimi.data.world.words import draw_text

DIGIT_SIZES = (20, 28)
FONT_SIZES = (16, 24)

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


def _write(
    rng: Rng,
    glyphs: list[Image.Image],
    gap: tuple[int, int],
    wobble: int,
    held_out: bool,
) -> Canvas:
    """Masks (L, 255 = ink) side by side from left to right, `gap` px apart, in one ink somewhere on a sheet."""
    gaps = [between(rng, *gap) for _ in glyphs[1:]]
    drops = [between(rng, 0, wobble) for _ in glyphs]
    width = sum(g.width for g in glyphs) + sum(gaps)
    height = max(g.height for g in glyphs) + wobble
    widths, heights = (
        (max(56, width + 6), max(70, width + 28)),
        (max(42, height + 6), max(64, height + 20)),
    )
    canvas = Canvas.blank(rng, draw_resolution(rng, widths, heights, held_out))
    x = between(rng, 3, canvas.image.width - width - 3)
    y = between(rng, 3, canvas.image.height - height - 3)
    ink = pick(rng, INKS)
    for glyph, space, drop in zip(glyphs, [*gaps, 0], drops, strict=True):
        canvas.image.paste(ink, (x, y + drop), glyph)
        x += glyph.width + space
    return canvas


def number(rng: Rng, held_out: bool) -> Scene:
    """A handwritten number of one, two or three digits, equally often; the answer is its digits."""
    low, high = pick(rng, [(0, 9), (10, 99), (100, 999)])
    value = str(between(rng, low, high))
    while text_held_out(value) != held_out:
        value = str(between(rng, low, high))
    size = between(rng, *DIGIT_SIZES)
    indices = [pick(rng, art.digit_indices(int(d), held_out)) for d in value]
    canvas = _write(rng, [art.digit_mask(i, size) for i in indices], (-2, 3), 3, held_out)
    facts = canvas.facts("number", value=value, digit_indices=indices)
    return Scene(canvas.image, pick(rng, NUMBER_QUESTIONS), value, f"the number {value}", facts)


def _print(text: str, font_name: str, size: int) -> Image.Image:
    """`text` set in one line, as a mask cut to the ink."""
    face = art.font(font_name, size)
    left, top, right, bottom = (int(side) for side in face.getbbox(text))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, fill=255, font=face)
    return mask


def word(rng: Rng, held_out: bool) -> Scene:
    """A printed word of three to five capitals or a code of one to five; the answer is the same letters."""
    text = draw_text(rng)
    while text_held_out(text) != held_out:
        text = draw_text(rng)
    font_name, size = pick(rng, art.FONTS), between(rng, *FONT_SIZES)
    canvas = _write(rng, [_print(text, font_name, size)], (0, 0), 0, held_out)
    facts = canvas.facts("word", value=text, font=font_name, size=size)
    return Scene(canvas.image, pick(rng, WORD_QUESTIONS), text, f"the word {text}", facts)
