"""Task `desktop`: one moment of an episode on the desktop; what is the next action? (lesson 09)

Each sample is one step of a trajectory of the oracle, some after a mistake, as an agent has to recover from its own.
The examination plays whole episodes (`evaluation/episodes.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from minikimi.sample import Sample
from minikimi.world.canvas import Rng, pick
from minikimi.world.desktop import Desktop
from minikimi.world.scene import Scene
from minikimi.world.screens import click_on, normalised
from minikimi.world.task import Task, in_the_box
from minikimi.world.windows import Window

STAGES, SHARES = ("open", "act", "close", "done"), (0.3, 0.4, 0.15, 0.15)
DETOUR = 0.2  # share of the other stages that come after a wrong window


def _open_wrong(rng: Rng, episode: Desktop) -> None:
    """Click on an icon that the goal does not name."""
    targets, size = episode.screen.targets, episode.screen.size
    episode.act(click_on(normalised(targets[pick(rng, [n for n in targets if n != episode.app])], size)))


def _look(episode: Desktop) -> str:
    """What there is to see before the next action: all icons; or whose window it is, whether it is the right one, and
    where to close it, what its field says, which button is pressed or where the buttons are."""
    window = episode.screen
    if not isinstance(window, Window):
        return window.describe()
    cross, *buttons = window.places()
    if window.app != episode.app:
        return f"window of {window.app}, wrong, {cross}"
    if episode.text:
        state = [f"text {window.typed or 'empty'}"]
    else:
        state = [f"pressed {window.pressed}"] if window.pressed else ["pressed nothing", *buttons]
    return ", ".join([f"window of {window.app}, right", *state])


def draw(rng: Rng, held_out: bool) -> Scene:
    """One moment of an episode, one in three after a wrong window; the answer is the next action."""
    episode = Desktop(rng, held_out)
    wanted = STAGES[rng.choice(len(STAGES), p=SHARES)]
    if wanted == "act":
        wanted = "press" if episode.button else "type"
    if wanted == "close" or rng.random() < DETOUR:
        _open_wrong(rng, episode)
    while episode.next()[0] != wanted:
        episode.act(episode.oracle())
    stage, action, box = episode.next()
    return Scene(
        images=[episode.screenshot()],
        question=episode.prompt,
        answer=action,
        caption=episode.screen.describe(),
        solution=f"{_look(episode)}. {action}",
        facts=episode.screen.canvas.facts(f"desktop.{stage}", goal=episode.goal, history=episode.history, box=box),
    )


def chance(sample: Sample, counts: Mapping[str, int]) -> float:
    """Guessed actions reach no goal."""
    return 0.0


TASK = Task(name="desktop", draw=draw, judge=in_the_box, chance=chance, benchmark="agent", thinks=True)
