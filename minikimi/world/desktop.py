"""A desktop to act on, one screenshot and one action at a time (lesson 09).

Icons open windows; a window has buttons to press, a field to type into and a cross that closes it. Three right actions
reach a goal, and a wrong window has to be closed first. The multi-step half of the agent data of the Kimi-VL report
(arXiv 2504.07491, section 3.1) at toy scale. What a model says is matched against three forms and never evaluated.

    episode = Desktop(seed=7)
    while not episode.done:
        result = episode.act(model_answer(episode.prompt, episode.screenshot()))
    episode.success
"""

from __future__ import annotations

import re

import numpy as np
from PIL import Image

from minikimi.world.canvas import COLOURS, Rng, between, pick
from minikimi.world.holdout import cell_held_out, pair_held_out, text_held_out
from minikimi.world.screens import Box, click_on, normalised
from minikimi.world.vocabulary import NAMES
from minikimi.world.windows import Screen, Window, draw_icons, draw_window
from minikimi.world.words import draw_text

MAX_STEPS = 6
LETTERS = (2, 3)  # of a text to type: as many as the field of the smaller window has cells
ACTION = re.compile(r"click\(([01]\.[0-9]{2}), ([01]\.[0-9]{2})\)|type\(([A-Z]{1,3})\)|done\(\)")


class Desktop:
    """One episode: a goal, the state of the screen, and what was done so far.

    seed: a number, or a generator to draw from. held_out: whether the goal is one that training never sets.
    Attributes: goal (text), app, button, text (what the goal names; button or text is empty), history (well-formed
    actions so far), steps, done, success.
    """

    def __init__(self, seed: int | Rng, held_out: bool = False) -> None:
        rng = np.random.default_rng(seed)  # a generator passes through
        columns = between(rng, 3, 4)
        apps = [NAMES[i] for i in rng.permutation(len(NAMES))[: between(rng, 3, 4)]]
        self.app, self.button, self.text = apps[0], "", ""
        if rng.random() < 0.5:
            self.button = pick(rng, [n for n in NAMES if n != self.app and pair_held_out(self.app, n) == held_out])
            self.goal = f"open the {self.app}, then press the {self.button}"
        else:
            self.text = _draw_key(rng, self.app, held_out)
            self.goal = f"open the {self.app} and type {self.text}"
        background = pick(rng, COLOURS)
        self._icons = draw_icons(rng, apps, columns, background)
        self._windows = {app: draw_window(rng, app, self._draw_buttons(rng, app, columns), background) for app in apps}
        self._open: Window | None = None
        self.history: list[str] = []
        self.steps, self.done, self.success = 0, False, False

    def _draw_buttons(self, rng: Rng, app: str, columns: int) -> list[str]:
        """Different pictures for the window of `app`, each in a cell known to it, with the goal's button where it
        belongs."""
        wanted = [self.button] if self.button and app == self.app else []
        others = [n for n in NAMES if n not in (app, self.button)]
        while True:
            names = [*wanted, *(others[i] for i in rng.permutation(len(others)))][:columns]
            names = [names[i] for i in rng.permutation(columns)]
            if not any(cell_held_out(name, 1, column) for column, name in enumerate(names)):
                return names

    @property
    def screen(self) -> Screen:
        """What is to be seen now: the icons or the open window."""
        return self._open or self._icons

    def screenshot(self) -> Image.Image:
        """The screen as an RGB image of 84 x 84 or 112 x 84 px."""
        return self.screen.image()

    @property
    def prompt(self) -> str:
        """`Goal: open the cat, then press the star. Done: click(0.25, 0.75).`"""
        return f"Goal: {self.goal}. Done: {', '.join(self.history) or 'nothing'}."

    def act(self, action: str) -> str:
        """Do what `action` says, if it is exactly `click(0.25, 0.75)`, `type(KEY)` or `done()`; one step either way.

        Returns what happened, in words. The episode ends with `done()` or after `MAX_STEPS` steps.

        Raises:
            ValueError: the episode is over.
        """
        if self.done:
            raise ValueError("the episode is over; start another Desktop")
        self.steps += 1
        match = ACTION.fullmatch(action)
        x, y = (float(match[i] or 0) for i in (1, 2)) if match else (0.0, 0.0)
        if not match or max(x, y) > 1:
            result = "malformed action"
        else:
            self.history.append(action)
            result = self._click(x, y) if match[1] else self._type(match[3]) if match[3] else self._finish()
        self.done = self.done or self.steps == MAX_STEPS
        return result

    def _click(self, x: float, y: float) -> str:
        width, height = self.screen.size
        for name, (left, top, right, bottom) in self.screen.targets.items():
            if left <= x * width <= right and top <= y * height <= bottom:
                return self._hit(name)
        return "nothing there"

    def _hit(self, name: str) -> str:
        if self._open is None:
            self._open = self._windows[name]
            return f"opened {name}"
        if name == "close":
            closed, self._open = self._open.app, None
            return f"closed {closed}"
        self._open.pressed = name
        return f"pressed {name}"

    def _type(self, text: str) -> str:
        if self._open is None:
            return "no text field"
        self._open.typed = text
        return f"typed {text}"

    def _finish(self) -> str:
        self.done, self.success = True, self._reached()
        return "success" if self.success else "the goal is not reached"

    def _reached(self) -> bool:
        window = self._windows[self.app]
        return window.pressed == self.button if self.button else window.typed == self.text

    def next(self) -> tuple[str, str, Box | None]:
        """The stage (open, press, type, close, done), the right next action, and the box to hit if it is a click."""
        if self._reached():
            return "done", "done()", None
        if self._open is None:
            stage, name = "open", self.app
        elif self._open.app != self.app:
            stage, name = "close", "close"
        elif self.text:
            return "type", f"type({self.text})", None
        else:
            stage, name = "press", self.button
        box = normalised(self.screen.targets[name], self.screen.size)
        return stage, click_on(box), box

    def oracle(self) -> str:
        """The right next action."""
        return self.next()[1]


def _draw_key(rng: Rng, app: str, held_out: bool) -> str:
    """A text to type that training may print and that belongs, together with `app`, to the split."""
    while True:
        text = draw_text(rng)
        if LETTERS[0] <= len(text) <= LETTERS[1] and not text_held_out(text) and pair_held_out(app, text) == held_out:
            return text
