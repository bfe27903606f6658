"""Screens, clips, documents and needles: each answer re-derived from what was drawn, in both splits."""

import re

import numpy as np
import pytest

from minikimi.data import PictureWorld
from minikimi.data.world import art
from minikimi.data.world.canvas import Canvas

SPLITS = ["train", "held_out"]


def samples(task, split, n=60, seed=3):
    world = PictureWorld(seed=seed, split=split, tasks={task: 1})
    return [world[i] for i in range(n)]


def repainted(size, background, placements):
    """A sheet painted from the placements alone."""
    canvas = Canvas.blank(np.random.default_rng(0), size, background)
    for placement in placements:
        left, top, right, bottom = placement["box"]
        drawn = art.picture(placement["name"], max(right - left, bottom - top))
        canvas.image.paste(drawn, (left, top), drawn)
    return canvas.image


def parsed_click(text):
    match = re.fullmatch(r"click\((\d\.\d\d), (\d\.\d\d)\)", text)
    assert match, text
    return float(match[1]), float(match[2])


@pytest.mark.parametrize("split", SPLITS)
def test_a_click_hits_the_icon_that_was_asked_for(split):
    for sample in samples("click", split):
        (width, height), facts = sample.images[0].size, sample.facts
        asked = [p for p in facts["placements"] if re.search(rf"\b{p['name']}\b", sample.question)]
        assert len(asked) == 1, sample.question
        left, top, right, bottom = asked[0]["box"]
        x, y = parsed_click(sample.answer)
        # The middle of the drawn box, to a pixel and the rounding; a swapped x and y or another icon would be far off.
        assert abs(x * width - (left + right) / 2) < 1 + width / 200, sample.id
        assert abs(y * height - (top + bottom) / 2) < 1 + height / 200, sample.id
        assert facts["box"] == (left / width, top / height, right / width, bottom / height)
        assert sample.caption.count(" at ") == len(facts["placements"]) >= 2
        assert f"{asked[0]['name']} at {x:.2f} {y:.2f}" in sample.caption
        # Above the bar, the screen holds the listed icons and nothing else.
        painted = repainted(sample.images[0].size, facts["background"], facts["placements"])
        above = (0, 0, width, facts["bar"][0])
        assert painted.crop(above).tobytes() == sample.images[0].crop(above).tobytes()
