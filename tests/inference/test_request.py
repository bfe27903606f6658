"""Requests: what counts as a circle, and which pictures a prompt holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_models import MEDIA, random_images, text_with_images

from minikimi.inference.request import LONGEST_CYCLE, WINDOW, keys, pictures, repeating
from minikimi.processor.processor import Encoded


def test_what_counts_as_a_circle() -> None:
    n = WINDOW + LONGEST_CYCLE
    assert repeating([i % 3 for i in range(n)])
    assert repeating([i % LONGEST_CYCLE for i in range(n)])
    assert not repeating([i % (LONGEST_CYCLE + 1) for i in range(n)])  # too long a period
    assert not repeating(list(range(n)))
    assert not repeating([0] * (n - 1) + [1])  # just left it
    assert not repeating([*range(n - WINDOW), *[5] * WINDOW])  # one token short of repeating WINDOW times
    assert not repeating([5] * WINDOW) and repeating([5] * (WINDOW + 1))


def test_pictures_are_known_by_their_content() -> None:
    """Two grids of the same patches are two pictures; placeholders and patches must agree."""
    grids = [(2, 4), (4, 2), (2, 4)]
    pixels, hws = random_images(grids)
    pixels[8:16] = pixels[:8]
    pixels[16:] = pixels[:8]
    ids = text_with_images(5, grids)
    prompt = Encoded(ids, ids, pixels, hws)
    first, second, third = pictures(prompt, MEDIA)
    assert first.name == third.name != second.name
    places = torch.tensor(keys(ids.tolist(), [first, second, third]))
    assert torch.equal(places < 0, ids == MEDIA) and torch.equal(places[places >= 0], ids[ids != MEDIA])
    for wrong in (replace(prompt, input_ids=ids[:-4]), replace(prompt, grid_hws=hws[:2])):
        with pytest.raises(ValueError, match="image placeholders in the text"):
            pictures(wrong, MEDIA)
