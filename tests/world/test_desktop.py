"""The desktop: its pixels tell the next action, the oracle reaches every goal, and nothing else counts as an action."""

import re
from collections import Counter

import numpy as np
import pytest

from minikimi.world import PictureWorld, windows
from minikimi.world.canvas import pick
from minikimi.world.desktop import Desktop
from minikimi.world.screens import click_on, normalised


def click_on_target(episode, name):
    return click_on(normalised(episode.screen.targets[name], episode.screen.size))


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


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_next_action_follows_from_the_screenshot(split):
    kinds = Counter()
    world = PictureWorld(3, split, {"desktop": 1})
    for sample in (world[i] for i in range(200)):
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


@pytest.mark.parametrize("held_out", [False, True])
def test_the_oracle_reaches_every_goal_in_three_steps(held_out):
    for seed in range(150):
        episode = Desktop(seed, held_out)
        assert Desktop(seed, held_out).screenshot().tobytes() == episode.screenshot().tobytes()
        before = episode.screenshot().tobytes()
        while not episode.done:
            result = episode.act(episode.oracle())
            assert episode.done or episode.screenshot().tobytes() != before, "every action can be seen"
            before = episode.screenshot().tobytes()
        assert episode.success and episode.steps == 3 and result == "success", seed


@pytest.mark.parametrize("seed", range(20))
def test_mistakes_can_be_mended(seed):
    # A wrong window, then a wrong button or text in the right one: the six steps that there are suffice.
    episode = Desktop(seed)
    wrong = next(name for name in episode.screen.targets if name != episode.app)
    assert episode.act(click_on_target(episode, wrong)) == f"opened {wrong}"
    assert episode.next()[0] == "close"
    assert episode.act(episode.oracle()) == f"closed {wrong}"
    episode.act(episode.oracle())
    if episode.text:
        assert episode.act("type(Q)") == "typed Q"
    else:
        other = next(name for name in episode.screen.targets if name not in ("close", episode.button))
        assert episode.act(click_on(normalised(episode.screen.targets[other], episode.screen.size))).startswith(
            "pressed"
        )
    assert episode.next()[0] in ("press", "type")
    assert episode.act(episode.oracle()) in (f"pressed {episode.button}", f"typed {episode.text}")
    assert episode.act(episode.oracle()) == "success"
    assert episode.success and episode.steps == 6


MALFORMED = ["", "click(0.5, 0.5)", "click(0.50,0.50)", "click(1.50, 0.50)", "click(0.50, 0.50) "]
MALFORMED += ["click(0.50, 0.50)\n", "type()", "type(key)", "type(KEY", "done", "done()done()", "click(-0.5, 0.50)"]
MALFORMED += ["__import__('os')", "type(ABCD)", "click(0.\u0665\u0660, 0.50)"]  # the last: digits, but not 0 to 9


@pytest.mark.parametrize("action", MALFORMED)
def test_malformed_actions_cost_a_step_and_do_nothing(action):
    episode = Desktop(3)
    before = episode.screenshot().tobytes()
    for _ in range(6):
        assert not episode.done
        assert episode.act(action) == "malformed action"
    assert episode.done and not episode.success and episode.history == []
    assert episode.screenshot().tobytes() == before
    with pytest.raises(ValueError, match="over"):
        episode.act("done()")


def test_wrong_episodes_fail():
    for seed in range(40):
        rng, episode = np.random.default_rng(seed), Desktop(seed)
        while not episode.done:
            x, y = rng.random(2)
            episode.act(pick(rng, [f"click({x:.2f}, {y:.2f})", "type(ZZZ)"]))
        assert not episode.success and episode.steps == 6, "without done() there is no success"
        hasty = Desktop(seed)
        assert hasty.act("done()") == "the goal is not reached" and hasty.done and not hasty.success
        assert Desktop(seed).act("type(A)") == "no text field"
