"""One to four things, each in a place of its own: in words, in the facts and in the pixels."""

import pytest
from world_checks import BOTH_SPLITS, check_placements, place, samples

from minikimi.world import holdout
from minikimi.world.places import ALLOWED, RESERVED, describe
from minikimi.world.vocabulary import NAMES, PLACES


@pytest.mark.parametrize("task", ["caption", "where"])
@BOTH_SPLITS
def test_places_follow_from_the_pixels(task, split):
    for sample in samples(task, split):
        check_placements(sample)
        seen = {place(sample.images[0].size, p["box"]): p["name"] for p in sample.facts["placements"]}
        assert seen == sample.facts["things"], sample.id
        assert sample.caption == ", ".join(f"{name} at {where}" for where, name in seen.items())


def test_every_picture_may_stand_anywhere_but_in_one_place():
    for where in PLACES:
        assert sorted(ALLOWED[where] + RESERVED[where]) == sorted(NAMES)
        assert all(holdout.place_held_out(name, where) for name in RESERVED[where])


def test_a_description_by_hand():
    assert describe({"top left": "cat", "right": "sun"}) == "cat at top left, sun at right"
