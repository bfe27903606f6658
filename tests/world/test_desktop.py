"""The desktop: the oracle reaches every goal, mistakes can be mended, and nothing else counts as an action."""

import numpy as np
import pytest

from minikimi.world.canvas import pick
from minikimi.world.desktop import Desktop
from minikimi.world.screens import click_on, normalised


def click_on_target(episode, name):
    return click_on(normalised(episode.screen.targets[name], episode.screen.size))


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
