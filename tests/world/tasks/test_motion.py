"""Task `motion`: the direction is seen in the frames."""

import re

from world_checks import BOTH_SPLITS, check_budget, check_new, check_sheets, samples


@BOTH_SPLITS
def test_a_motion_is_seen_in_the_frames(split):
    for sample in samples("motion", split):
        question = check_sheets(sample)
        (first, *_), (middle, *_), (last, *_) = sample.facts["frames"]
        assert first["name"] == middle["name"] == last["name"] == sample.facts["name"]
        assert re.search(rf"\b{first['name']}\b", question)
        centres = [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in (first["box"], middle["box"], last["box"])]
        dx, dy = (centres[2][k] - centres[0][k] for k in (0, 1))
        # Two cells of 28 px one way, jitter the other; the y axis points down.
        assert max(abs(dx), abs(dy)) > 50 and min(abs(dx), abs(dy)) < 6
        seen = ("right" if dx > 0 else "left") if abs(dx) > abs(dy) else ("down" if dy > 0 else "up")
        assert sample.answer == seen and sample.caption == f"{first['name']} moves {seen}"
        for k in (0, 1):
            assert abs(centres[1][k] - (centres[0][k] + centres[2][k]) / 2) < 6, "one cell a frame"


def test_motion_tells_the_cell_of_each_frame():
    for sample in samples("motion", n=40, seed=4):
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


def test_the_direction_is_new_for_its_picture():
    check_new("motion", lambda sample: [(sample.facts["name"], sample.facts["direction"])])


def test_a_clip_is_short():
    check_budget("motion", 0, 100, 40)
