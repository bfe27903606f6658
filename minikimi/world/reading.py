"""Tasks about reading: `number` (handwritten digits) and `word` (printed capitals) (lesson 09).

The OCR part of the Kimi-VL report's data (arXiv 2504.07491, section 3.1) at toy scale.
"""

from __future__ import annotations

from PIL import Image

from minikimi.world import art, chinese, glyphs
from minikimi.world.canvas import Canvas, Rng, Scene, between, draw_resolution, pick
from minikimi.world.holdout import text_held_out, text_unseen
from minikimi.world.vocabulary import INKS
from minikimi.world.words import draw_text

FREE = 40  # most free paper to the right and below, px

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


def _write(rng: Rng, masks: list[Image.Image], held_out: bool) -> tuple[Canvas, dict[str, int]]:
    """Masks (L, 255 = ink) from left to right in one ink, one to a cell of 28 px, up to 2 px from the cell's middle;
    some turned, some speckled: `rotation` and `noise` say how much.

    As on a letter board, the first cell is at the top left, and a cell is what becomes one image token: to read at any
    offset, a vision transformer needs far more pictures than minutes allow. How much free paper follows is drawn.
    """
    cells = Canvas.cells(1, len(masks), glyphs.CELL)
    width, height = cells[-1][2:]
    canvas = Canvas.blank(rng, draw_resolution(rng, (width, width + FREE), (height, height + FREE), held_out))
    ink, worn = pick(rng, INKS), glyphs.wear(rng)
    for mask, cell in zip(masks, cells, strict=True):
        glyphs.stamp(rng, canvas, glyphs.turned(mask, worn["rotation"]), cell, ink)
    glyphs.speckle(rng, canvas, worn["noise"])
    return canvas, worn


def _fits(text: str, held_out: bool) -> bool:
    """Whether `text` may be asked for in the split."""
    return text_unseen(text) if held_out else not text_held_out(text)


def number(rng: Rng, held_out: bool) -> Scene:
    """A handwritten number of one, two or three digits, equally often; held-out ones have three. The answer is its
    digits."""
    low, high = (100, 999) if held_out else pick(rng, [(0, 9), (10, 99), (100, 999)])
    value = str(between(rng, low, high))
    while not _fits(value, held_out):
        value = str(between(rng, low, high))
    masks, indices = glyphs.handwritten(rng, value, held_out)
    canvas, worn = _write(rng, masks, held_out)
    question, caption, language = pick(rng, NUMBER_QUESTIONS), f"the number {value}", chinese.language(rng)
    if language == "zh":
        question, caption = pick(rng, chinese.NUMBER_QUESTIONS), f"数字{value}"
    facts = canvas.facts("number", value=value, digit_indices=indices, language=language, **worn)
    return Scene([canvas.image], question, value, caption, facts)


def word(rng: Rng, held_out: bool) -> Scene:
    """A printed word of three to five capitals or a code of up to five; the answer is the same letters."""
    text = draw_text(rng)
    while not _fits(text, held_out):
        text = draw_text(rng)
    font_name, size = pick(rng, art.FONTS), between(rng, *glyphs.FONT_SIZES)
    canvas, worn = _write(rng, [glyphs.printed(letter, font_name, size) for letter in text], held_out)
    facts = canvas.facts("word", value=text, font=font_name, size=size, **worn)
    return Scene([canvas.image], pick(rng, WORD_QUESTIONS), text, f"the word {text}", facts)
