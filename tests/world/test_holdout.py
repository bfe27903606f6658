"""Rules of what training never sees: how much they hold out, and that they hold in what is drawn."""

import pytest
from world_checks import SPLITS, samples

from minikimi.world import TASKS, group_of, holdout
from minikimi.world.tasks.receipt import FOR_SALE
from minikimi.world.vocabulary import BACKGROUNDS, BARS, COUNTRIES, NAMES, PLACES


@pytest.mark.parametrize("task", TASKS)
def test_resolutions_are_disjoint(task):
    n = 20 if group_of(task) == "long" else 200
    sizes = {split: {image.size for s in samples(task, split, n) for image in s.images} for split in SPLITS}
    assert not any(holdout.resolution_held_out(*size) for size in sizes["train"])
    if len(sizes["train"]) > 2:  # else its images have one size or two for both splits
        assert all(holdout.resolution_held_out(*size) for size in sizes["held_out"])


def test_every_part_of_a_held_out_combination_is_trained():
    # A combination is a fair test only if its parts are known: each name, place, count, letter and digit is trained.
    where, count, word, number = (samples(task, n=2500, seed=0) for task in ("where", "count", "word", "number"))
    assert {n for s in where for n in s.facts["things"].values()} == set(NAMES)
    assert {p for s in where for p in s.facts["things"]} == set(PLACES)
    assert {(s.answer) for s in count} == set("123456")
    assert set("".join(s.answer for s in word)) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert set("".join(s.answer for s in number)) == set("0123456789")


def test_every_picture_loses_exactly_one_place_one_count_and_one_background():
    for name in NAMES:
        assert sum(holdout.place_held_out(name, place) for place in PLACES) == 1
        assert sum(holdout.count_held_out(name, count) for count in holdout.COUNTS) == 1
    for name in NAMES + COUNTRIES:
        assert sum(holdout.background_held_out(name, background) for background in BACKGROUNDS) == 1
    # ... and no place or count loses so many pictures that training becomes lopsided.
    lost = [sum(holdout.place_held_out(n, p) for n in NAMES) for p in PLACES]
    assert max(lost) - min(lost) <= 1
    lost = [sum(holdout.count_held_out(n, c) for n in NAMES) for c in holdout.COUNTS]
    assert max(lost) - min(lost) <= 1


def test_about_one_in_six_values_is_held_out():
    share = sum(holdout.text_held_out(str(v)) for v in range(10, 1000)) / 990
    assert 0.13 < share < 0.2


def test_every_glyph_colour_and_thing_loses_its_share():
    for glyph in "".join(holdout.TABLE_GLYPHS):
        assert sum(holdout.glyph_held_out(glyph, r, c) for r in (1, 2, 3) for c in (1, 2, 3)) == 1
    assert {sum(holdout.bar_held_out(colour, v) for v in range(1, 10)) for colour in BARS} == {1, 2}
    assert {sum(holdout.price_held_out(name, p) for p in range(1, 31)) for name in FOR_SALE} == {5}
