"""Nothing that is tested was trained on: by rule, by seed, and by looking at what is actually drawn."""

from collections import Counter

import pytest

from minikimi.world import PictureWorld, holdout
from minikimi.world.vocabulary import BACKGROUNDS, COUNTRIES, NAMES, PLACES

N = 2500


def drawn(task, split, n=N, seed=0):
    world = PictureWorld(seed=seed, split=split, tasks={task: 1})
    return [world[i] for i in range(n)]


def asked(sample):
    """The combinations whose novelty a sample tests, or every combination it could teach."""
    facts = sample.facts
    if sample.task in ("caption", "where"):
        return {(name, place) for place, name in facts["things"].items()}
    if sample.task == "count":
        names = [p["name"] for p in facts["placements"]]
        return set(Counter(names).items())
    if sample.task in ("group", "flag"):
        return {(facts["name"], facts["background"])}
    return {facts["value"]}


@pytest.mark.parametrize("task", ["caption", "where", "count", "group", "flag", "number", "word"])
def test_train_never_shows_what_is_held_out(task):
    # Two seeds: what one training world hides, no other may show.
    train = [s for seed in (0, 1) for s in drawn(task, "train", seed=seed)]
    held_out = drawn(task, "held_out", 600)
    seen = set().union(*map(asked, train))
    assert all(asked(s) - seen for s in held_out), "each held-out sample has at least one combination never trained"
    if task == "where":
        pairs = {(s.facts["things"][s.facts["place"]], s.facts["place"]) for s in held_out}
        assert not pairs & seen, "the combination asked about is the new one"
    if task == "count":
        assert not {(s.facts["target"], s.facts["count"]) for s in held_out} & seen
    if task in ("group", "flag", "number", "word"):
        assert not set().union(*map(asked, held_out)) & seen


@pytest.mark.parametrize("task", ["caption", "count", "flag", "number", "word"])
def test_resolutions_are_disjoint(task):
    sizes = {split: {s.images[0].size for s in drawn(task, split, 800)} for split in ("train", "held_out")}
    assert not sizes["train"] & sizes["held_out"]
    assert len(sizes["held_out"]) > 20


def test_handwriting_is_disjoint():
    used = {"train": set(), "held_out": set()}
    for split, indices in used.items():
        indices.update(i for s in drawn("number", split, 800) for i in s.facts["digit_indices"])
    assert not used["train"] & used["held_out"]
    assert min(map(len, used.values())) > 200


def test_every_part_of_a_held_out_combination_is_trained():
    # A combination is a fair test only if its parts are known: each name, place, count, letter and digit is trained.
    where, count, word, number = (drawn(task, "train") for task in ("where", "count", "word", "number"))
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
