"""Task `click`: the click hits the icon that was asked for, and its rule and chance are those of the screen."""

import re

import pytest
from world_checks import BOTH_SPLITS, cell, check_budget, check_further, check_new, named, repainted, samples, solved

from minikimi.world import TASKS, holdout


def parsed_click(text):
    match = re.fullmatch(r"click\((\d\.\d\d), (\d\.\d\d)\)", text)
    assert match, text
    return float(match[1]), float(match[2])


@BOTH_SPLITS
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


@BOTH_SPLITS
def test_a_click_follows_the_places_of_all_icons(split):
    for sample, steps in solved("click", split, count=60):
        assert steps[0] == sample.caption and len(steps) == 2
        x, y = re.findall(r"\d\.\d\d", sample.answer)
        assert f"{sample.facts['target']} at {x} {y}" in steps[0].split(", ")


def test_any_point_of_the_icon_is_right_and_chance_is_its_share_of_the_screen():
    for sample in samples("click", "held_out", 20):
        left, _, right, bottom = sample.facts["box"]
        judge, chance = TASKS["click"].judge, TASKS["click"].chance(sample, {})
        assert judge(sample, f"click({left + 0.01:.3f}, {bottom - 0.01:.3f})").right
        assert not judge(sample, f"click({right + 0.01:.3f}, {bottom - 0.01:.3f})").right
        (width, height), pixels = sample.images[0].size, [p["box"] for p in sample.facts["placements"]]
        areas = [(x1 - x0) * (y1 - y0) / (width * height) for x0, y0, x1, y1 in pixels]
        assert any(chance == pytest.approx(area) for area in areas) and 0.01 < chance < 0.25


def derived(sample, question):
    (name,), (width, height) = named(question), sample.images[0].size
    (box,) = [p["box"] for p in sample.facts["placements"] if p["name"] == name]
    x, y = (box[0] / width + box[2] / width) / 2, (box[1] / height + box[3] / height) / 2
    return f"click({x:.2f}, {y:.2f})", holdout.cell_held_out(name, *cell(box))


def test_further_questions_follow_from_the_drawing():
    check_further("click", derived)


def combinations(sample):
    cells = {p["name"]: cell(p["box"]) for p in sample.facts["placements"]}
    target = sample.facts["target"]
    return [(target, cells.pop(target)), *cells.items()]


def test_the_icon_is_new_in_its_cell():
    check_new("click", combinations)


def test_a_screen_is_small():
    check_budget("click", 0, 80)
