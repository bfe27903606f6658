"""Worked steps of looking a thing up: read on until it is found, or to the end, then answer."""

import pytest

from minikimi.data import PictureWorld
from minikimi.data.world.canvas import up_to

SEARCHED = {"where": ", ", "click": ", ", "desktop": ", ", "compare": "; "}


def test_up_to_stops_at_the_whole_word() -> None:
    assert up_to("scarf at left, car at right, cat at top", ", ", "car") == "scarf at left, car at right"
    assert up_to("page 1: A, page 11: B, page 2: C", ", ", "page 2") == "page 1: A, page 11: B, page 2: C"
    assert up_to("cat at left, dog at right", ", ", "hat") == "cat at left, dog at right", "nothing found: all of it"


@pytest.mark.parametrize("task", SEARCHED)
@pytest.mark.parametrize("split", ["train", "held_out"])
def test_steps_are_the_description_as_far_as_needed_and_then_the_answer(task: str, split: str) -> None:
    """So they are true of the picture, and the answer stands in, or is named by, the last part that was read."""
    world, searches = PictureWorld(4, split, {task: 1}), 0
    for i in range(150):
        sample = world[i]
        if not sample.solution or sample.kind == "compare.only":
            continue
        searches += 1
        steps, _, answer = sample.solution.rpartition(". ")
        assert answer == sample.answer
        assert sample.caption == steps or sample.caption.startswith(steps + SEARCHED[task])
        last = steps.split(SEARCHED[task])[-1]
        said = answer.removeprefix("click(").removesuffix(")").replace(",", "")
        assert said in last, (steps, answer)
    assert searches > 20


@pytest.mark.parametrize("task", ["pages", "order"])
@pytest.mark.parametrize("split", ["train", "held_out"])
def test_documents_and_clips_are_told_to_the_end(task: str, split: str) -> None:
    world = PictureWorld(4, split, {task: 1})
    for sample in (world[i] for i in range(60)):
        expected = "" if sample.kind == "pages.what" else f"{sample.caption}. {sample.answer}"
        assert sample.solution == expected
    assert not any(PictureWorld(4, split, {"pages_long": 1})[i].solution for i in range(3)), "too long to be told"


def test_a_thing_in_only_one_image_is_what_remains_when_the_shared_ones_are_told() -> None:
    world, seen = PictureWorld(4, "train", {"compare": 1}), 0
    for i in range(100):
        sample = world[i]
        if sample.kind != "compare.only":
            continue
        seen += 1
        told, both, answer = sample.solution.replace(". Both: ", "|").replace(". ", "|").split("|")
        assert told == sample.caption and answer == sample.answer
        asked = set(sample.told[sample.facts["number"] - 1].split(", "))
        assert asked - set(both.split(", ")) == {answer}
    assert seen > 20


def test_motion_tells_the_cell_of_each_frame() -> None:
    world = PictureWorld(4, "train", {"motion": 1})
    for i in range(40):
        sample = world[i]
        steps, _, answer = sample.solution.rpartition(". ")
        cells = [
            tuple(int(word) for word in step.replace(",", "").split() if word.isdigit()) for step in steps.split(";")
        ]
        (row, column), (last_row, last_column) = cells[0], cells[-1]
        moved = {(0, 2): "right", (0, -2): "left", (2, 0): "down", (-2, 0): "up"}
        assert answer == sample.answer == moved[last_row - row, last_column - column]
        name = sample.facts["name"]
        assert sample.told == [f"{name} in row {r}, column {c}" for r, c in cells]
        for (r, c), (placement,) in zip(cells, sample.facts["frames"], strict=True):
            left, top, right, bottom = placement["box"]
            assert ((left + right) // 56 + 1, (top + bottom) // 56 + 1) == (c, r)
