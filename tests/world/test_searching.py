"""Worked steps of looking a thing up: everything in order first, what is asked for first in each part; then the part
that is asked for again; then the answer. A small language model learns to look up what stands after a word it has read,
and hardly what stood before it."""

import re

import pytest

from minikimi.world import PictureWorld
from minikimi.world.documents import NOT_ANSWERABLE

SPLITS = pytest.mark.parametrize("split", ["train", "held_out"])


def solved(task: str, split: str, kind: str = "", count: int = 150):
    """Samples that have worked steps, with these cut at full stops that end a sentence."""
    world = PictureWorld(4, split, {task: 1})
    samples = [world[i] for i in range(count)]
    kept = [(s, s.solution.split(". ")) for s in samples if s.solution and s.kind.startswith(kind)]
    assert len(kept) > count // 10
    assert all(steps[-1] == sample.answer for sample, steps in kept)
    return kept


@SPLITS
def test_a_place_is_looked_up_in_the_description(split: str) -> None:
    for sample, steps in solved("where", split):
        assert sample.kind == "where.place" and steps[0] == sample.caption
        name, place = steps[1].split(" at ")
        assert sample.facts["things"][place] == name
        assert place == sample.answer and re.search(rf"\b{name}\b", sample.question)


@SPLITS
def test_a_click_follows_the_places_of_all_icons(split: str) -> None:
    for sample, steps in solved("click", split, count=60):
        assert steps[0] == sample.caption and len(steps) == 2
        x, y = re.findall(r"\d\.\d\d", sample.answer)
        assert f"{sample.facts['target']} at {x} {y}" in steps[0].split(", ")


@SPLITS
def test_steps_on_the_desktop_say_whether_the_window_is_right(split: str) -> None:
    seen = set()
    for sample, (steps, action) in solved("desktop", split, count=300):
        stage, parts = sample.kind.removeprefix("desktop."), steps.split(", ")
        seen.add(stage)
        app = re.match(r"open the (\w+)", sample.facts["goal"])[1]
        if stage == "open":
            assert steps == sample.caption
            name, wanted = f"{app} at", action
        else:
            shown = sample.caption.split(", ")
            assert parts[0] == shown[0] == f"window of {parts[0].removeprefix('window of ')}"
            assert parts[1] == ("right" if parts[0] == f"window of {app}" else "wrong")
            assert (stage == "close") == (parts[1] == "wrong")
            assert all(part in shown for part in parts[2:]), "true of the screen"
            name, wanted = {"close": "close at", "press": f"{sample.facts['goal'].split()[-1]} at"}.get(stage), action
        if stage in ("open", "close", "press"):
            (place,) = [part for part in parts if part.startswith(name)]
            assert re.findall(r"\d\.\d\d", place) == re.findall(r"\d\.\d\d", wanted)
        else:
            key = sample.facts["goal"].split()[-1]
            done = parts[-1] in (f"pressed {key}", f"text {key}")
            assert (stage == "done") == done and action == ("done()" if done else f"type({key})")
    assert seen == {"open", "press", "type", "close", "done"}


@SPLITS
def test_a_page_is_looked_up_by_what_it_shows(split: str) -> None:
    absent = 0
    for sample, (index, found, answer) in solved("pages", split):
        assert sample.kind == "pages.which"
        listed = dict(part.split(" on ") for part in index.split(", "))
        assert list(listed) == sample.told and list(listed.values()) == [f"page {i + 1}" for i in range(len(listed))]
        wanted, page = found.split(" on ")
        assert wanted in sample.question and page == listed.get(wanted, "no page")
        assert answer == (page if wanted in listed else NOT_ANSWERABLE)
        absent += wanted not in listed
    assert absent > 3
    assert not any(PictureWorld(4, split, {"pages_long": 1})[i].solution for i in range(3)), "too long to be told"


@SPLITS
def test_an_image_is_looked_up_by_what_it_shows(split: str) -> None:
    for sample, (index, found, answer) in solved("compare", split, "compare.which"):
        listed = dict(part.split(" in ") for part in index.split(", "))
        images = [[n for n in listed if listed[n] == f"image {i}"] for i in range(1, len(sample.told) + 1)]
        assert [", ".join(names) for names in images] == sample.told
        assert found == f"{sample.facts['target']} in {listed[sample.facts['target']]}" and answer in found


@SPLITS
def test_what_only_one_image_shows_is_found_thing_by_thing(split: str) -> None:
    for sample, (told, told_apart, answer) in solved("compare", split, "compare.only"):
        assert told == sample.caption
        asked = sample.facts["number"] - 1
        mine, other = (sample.told[i].split(", ") for i in (asked, 1 - asked))
        checked = [part.split() for part in told_apart.split(", ")]
        assert [name for name, _ in checked] == mine[: len(checked)] and checked[-1] == [answer, "only"]
        assert all((name in other) == (verdict == "both") for name, verdict in checked)


@SPLITS
def test_clips_are_told_to_the_end(split: str) -> None:
    for sample, steps in solved("order", split, "order.first"):
        assert steps == [sample.caption, sample.answer]
    for sample, (clip, found, answer) in solved("order", split, "order.after"):
        things = [name for name in sample.told if name != "nothing"]
        assert clip == " then ".join(things)
        assert found in clip and found.split(" then ")[1] == answer and found.split(" then ")[0] in sample.question


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
