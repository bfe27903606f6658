"""Characters as masks: turned without loss, never clipped by their cell."""

import numpy as np
from PIL import Image

from minikimi.world import art, glyphs, holdout
from minikimi.world.canvas import Canvas


def test_turning_keeps_the_glyph():
    # A vertical bar leans left when turned anticlockwise, keeps its ink, and still fits into a cell of 28 px.
    upright = Image.new("L", (6, 26), 255)
    for degrees in (-10, 10):
        leaning = np.asarray(glyphs.turned(upright, degrees)).astype(float)
        assert max(leaning.shape) <= 26 and 0.75 < leaning.sum() / (6 * 26 * 255) < 1.1
        columns = np.arange(leaning.shape[1])
        top, bottom = ((row * columns).sum() / row.sum() for row in (leaning[2], leaning[-3]))
        assert (top - bottom) * degrees < -10
    assert glyphs.turned(upright, 0) is upright


def test_every_letter_in_every_font_fits_into_a_cell_even_when_turned():
    for font in art.FONTS:
        for letter in "WQMJ7":
            mask = glyphs.turned(glyphs.printed(letter, font, glyphs.FONT_SIZES[1]), 10)
            assert max(mask.size) <= glyphs.CELL - 2 and np.asarray(mask).max() > 200


def test_handwriting_belongs_to_the_split():
    used = {}
    for held_out in (False, True):
        rng = np.random.default_rng(0)
        drawn = [glyphs.handwritten(rng, "0123456789", held_out)[1] for _ in range(100)]
        used[held_out] = {index for indices in drawn for index in indices}
        assert all(holdout.digit_held_out(index) == held_out for index in used[held_out])
    assert min(map(len, used.values())) > 200


def test_noise_stays_within_its_limit():
    canvas = Canvas.blank(np.random.default_rng(0), (40, 30), "cream")
    before = np.asarray(canvas.image).astype(int)
    glyphs.speckle(np.random.default_rng(1), canvas, 9)
    change = np.asarray(canvas.image).astype(int) - before
    assert np.abs(change).max() <= 9 and change.std() > 2
    assert np.ptp(change, axis=2).max() <= 9, "all three colours move together, but for white"
