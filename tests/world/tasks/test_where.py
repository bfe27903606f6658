"""Task `where`: the place of a thing, or the thing at a place."""

import re

from world_checks import BOTH_SPLITS, check_further, check_new, named, place, samples, solved

from minikimi.world import holdout


@BOTH_SPLITS
def test_the_question_is_about_what_stands_there(split):
    for sample in samples("where", split):
        things = sample.facts["things"]
        if sample.kind == "where.place":
            assert [things[sample.answer]] == named(sample.question, things.values())
        else:
            assert sample.question.rstrip("?.").endswith("the " + sample.facts["place"])
            assert things[sample.facts["place"]] == sample.answer


@BOTH_SPLITS
def test_a_place_is_looked_up_in_the_description(split):
    for sample, steps in solved("where", split):
        assert sample.kind == "where.place" and steps[0] == sample.caption
        name, place = steps[1].split(" at ")
        assert sample.facts["things"][place] == name
        assert place == sample.answer and re.search(rf"\b{name}\b", sample.question)


def derived(sample, question):
    places = {p["name"]: place(sample.images[0].size, p["box"]) for p in sample.facts["placements"]}
    for name in named(question):
        return places[name], holdout.place_held_out(name, places[name])
    (asked,) = [p for p in places.values() if question.rstrip("?.").endswith(f"at the {p}")]
    name = next(name for name, p in places.items() if p == asked)
    return name, holdout.place_held_out(name, asked)


def test_further_questions_follow_from_the_drawing():
    check_further("where", derived)


def combinations(sample):
    things = dict(sample.facts["things"])
    asked = sample.facts["place"]
    return [(things.pop(asked), asked), *((name, place) for place, name in things.items())]


def test_the_pair_asked_about_is_the_new_one():
    check_new("where", combinations, 5000)
