"""Task `compare`: images that differ as they are said to."""

import re

from world_checks import (
    BOTH_SPLITS,
    check_budget,
    check_further,
    check_new,
    check_sheets,
    frames,
    named,
    numbered,
    samples,
    solved,
)

from minikimi.world import holdout


@BOTH_SPLITS
def test_compared_images_differ_as_asked(split):
    for sample in samples("compare", split, 120):
        question = check_sheets(sample)
        images = [set(shown) for shown in frames(sample)]
        described = [f"image {i}: {', '.join(shown)}" for i, shown in enumerate(frames(sample), 1)]
        assert sample.caption == "; ".join(described) and 2 <= len(images) <= 4
        if sample.kind == "compare.which":
            (asked,) = named(question)
            assert [sample.answer] == [f"image {i}" for i, names in enumerate(images, 1) if asked in names]
        else:
            assert len(images) == 2 and images[0] & images[1]
            this = int(re.search(r"image (\d)", question)[1]) - 1
            assert {sample.answer} == images[this] - images[1 - this]


@BOTH_SPLITS
def test_an_image_is_looked_up_by_what_it_shows(split):
    for sample, (index, found, answer) in solved("compare", split, "compare.which"):
        listed = dict(part.split(" in ") for part in index.split(", "))
        images = [[n for n in listed if listed[n] == f"image {i}"] for i in range(1, len(sample.told) + 1)]
        assert [", ".join(names) for names in images] == sample.told
        assert found == f"{sample.facts['target']} in {listed[sample.facts['target']]}" and answer in found


@BOTH_SPLITS
def test_what_only_one_image_shows_is_found_thing_by_thing(split):
    for sample, (told, told_apart, answer) in solved("compare", split, "compare.only"):
        assert told == sample.caption
        asked = sample.facts["number"] - 1
        mine, other = (sample.told[i].split(", ") for i in (asked, 1 - asked))
        checked = [part.split() for part in told_apart.split(", ")]
        assert [name for name, _ in checked] == mine[: len(checked)] and checked[-1] == [answer, "only"]
        assert all((name in other) == (verdict == "both") for name, verdict in checked)


def derived(sample, question):
    (name,) = named(question)
    (at,) = [i for i, names in enumerate(frames(sample), 1) if name in names]
    return f"image {at}", holdout.ordinal_held_out(name, at)


def test_further_questions_follow_from_the_drawing():
    check_further("compare", derived)


def test_the_thing_is_new_on_its_image():
    check_new("compare", numbered)


def test_images_are_small():
    check_budget("compare", 0, 100)
