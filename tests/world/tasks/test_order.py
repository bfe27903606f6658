"""Task `order`: the order of the frames, and a fair choice between two things."""

import numpy as np
from world_checks import BOTH_SPLITS, check_budget, check_new, check_sheets, named, numbered, samples, solved

from minikimi.world import TASKS


@BOTH_SPLITS
def test_order_is_the_order_of_the_frames(split):
    for sample in samples("order", split, 120):
        question = check_sheets(sample)
        names = [frame[0]["name"] for frame in sample.facts["frames"] if frame]
        assert max(map(len, sample.facts["frames"])) == 1 and len(set(names)) == len(names) >= 3
        asked = sorted(named(question, names), key=names.index)
        if sample.kind == "order.first":
            assert len(asked) == 2 and sample.answer == asked[0]
        else:
            assert len(asked) == 1 and sample.answer == names[names.index(asked[0]) + 1]
        for i, frame in enumerate(sample.facts["frames"], 1):
            assert f"frame {i}: {frame[0]['name'] if frame else 'nothing'}" in sample.caption


def test_the_first_thing_is_named_first_only_half_of_the_time():
    firsts = [s for s in samples("order", "train", 600) if s.kind == "order.first"]
    named_first = [s.question.rindex(s.answer) < s.question.rindex(" or ") for s in firsts]
    assert 0.4 < np.mean(named_first) < 0.6


@BOTH_SPLITS
def test_clips_are_told_to_the_end(split):
    for sample, steps in solved("order", split, "order.first"):
        assert steps == [sample.caption, sample.answer]
    for sample, (clip, found, answer) in solved("order", split, "order.after"):
        things = [name for name in sample.told if name != "nothing"]
        assert clip == " then ".join(things)
        assert found in clip and found.split(" then ")[1] == answer and found.split(" then ")[0] in sample.question


def test_chance_is_one_half_where_the_question_names_both_things():
    for sample in samples("order", "held_out"):
        names_both = " or the " in sample.question
        assert (sample.kind == "order.first") == names_both
        assert TASKS["order"].chance(sample, {"order.first": 40, "order.after": 40}) == (
            1 / 2 if names_both else 1 / 40
        )


def test_the_thing_is_new_on_its_frame():
    check_new("order", numbered)


def test_a_clip_is_short():
    check_budget("order", 0, 100)
