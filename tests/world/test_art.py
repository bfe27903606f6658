"""The raw material: every picture can be told from every other, and digits are split by their images."""

import numpy as np

from minikimi.world import art, holdout
from minikimi.world.vocabulary import COUNTRIES, NAMES


def test_every_picture_is_drawn_and_no_two_look_alike():
    small = {name: np.asarray(art.picture(name, 28).resize((28, 28)), float) for name in NAMES + COUNTRIES}
    for name, pixels in small.items():
        assert (pixels[..., 3] > 128).mean() > 0.1, name
    names = list(small)
    for i, a in enumerate(names):
        for b in names[:i]:
            assert np.abs(small[a] - small[b]).mean() > 8, (a, b)


def test_every_digit_has_images_in_both_splits():
    for digit in range(10):
        train, held_out = (art.digit_indices(digit, split) for split in (False, True))
        assert min(len(train), len(held_out)) > 20 and not set(train) & set(held_out)
        assert all(holdout.digit_held_out(i) for i in held_out)
    assert art.digit_mask(0, 24).size == (24, 24) and art.digit_mask(0, 24).getextrema()[1] > 200
