"""Task `desktop`: the next action follows from the screenshot, and so do its worked steps."""

import re
from collections import Counter

import numpy as np
from world_checks import BOTH_SPLITS, check_budget, check_new, samples, solved

from minikimi.world import TASKS, windows


def seen_next_action(sample):
    """The right next action, from the goal's words, the placements and the pixels; None for a cross to click."""
    image, pixel = sample.images[0], sample.images[0].getpixel
    goal = re.match(r"Goal: open the (\w+)(?:, then press the (\w+)| and type (\w+))\. Done: ", sample.question)
    app, button, text = goal.groups()
    boxes = {p["name"]: p["box"] for p in sample.facts["placements"]}
    if pixel((image.width // 2, 3)) != windows.TITLE_COLOUR:
        return ("open", boxes[app])
    if sample.facts["placements"][0]["name"] != app:
        red = np.all(np.asarray(image)[:28] == windows.CROSS_COLOUR, -1).nonzero()
        return ("close", (red[1].min(), red[0].min(), red[1].max() + 1, red[0].max() + 1))
    if button:
        lit = pixel((boxes[button][0] // 28 * 28, 28)) == windows.PRESSED_COLOUR
        return ("done", "done()") if lit else ("press", boxes[button])
    inked = (np.asarray(image)[60:80, 6:-6] != 255).any()
    return ("done", "done()") if inked else ("type", f"type({text})")


@BOTH_SPLITS
def test_the_next_action_follows_from_the_screenshot(split):
    kinds = Counter()
    for sample in samples("desktop", split, 200):
        stage, target = seen_next_action(sample)
        kinds[stage] += 1
        assert sample.kind == f"desktop.{stage}"
        if isinstance(target, str):
            assert sample.answer == target and sample.facts["box"] is None
            continue
        (width, height), (x, y) = sample.images[0].size, map(float, re.findall(r"\d\.\d\d", sample.answer))
        left, top, right, bottom = target
        assert abs(x * width - (left + right) / 2) < 2 and abs(y * height - (top + bottom) / 2) < 2, sample.id
        assert np.allclose(sample.facts["box"], (left / width, top / height, right / width, bottom / height))
        assert f"at {x:.2f} {y:.2f}" in sample.caption
    assert set(kinds) == {"open", "press", "type", "close", "done"} and max(kinds.values()) < 90


@BOTH_SPLITS
def test_steps_on_the_desktop_say_whether_the_window_is_right(split):
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


def test_a_click_counts_anywhere_on_its_target_and_other_actions_only_as_they_are():
    for sample in samples("desktop", "held_out", 40):
        judge = TASKS["desktop"].judge
        assert judge(sample, sample.answer).right and not judge(sample, "type(ZZZ)").right
        if box := sample.facts["box"]:
            assert judge(sample, f"click({box[0] + 0.01:.3f}, {box[3] - 0.01:.3f})").right


def combinations(sample):
    goal = re.match(r"open the (\w+)(?:, then press the (\w+)| and type (\w+))$", sample.facts["goal"])
    return [(goal[1], goal[2] or goal[3])]


def test_the_goal_is_new():
    check_new("desktop", combinations, 1200, known=False)


def test_episodes_are_seldom_over():
    # That an episode is over has but one answer; when it is over is what has to be seen, so it is rare among the rest.
    answers = Counter(sample.answer for sample in samples("desktop", "train", 500))
    assert answers["done()"] / 500 < 0.25


def test_a_screen_is_small():
    check_budget("desktop", 0, 128)
