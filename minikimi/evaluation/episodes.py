"""Whole episodes on the mini desktop: the model acts, the desktop answers, only the reached goal counts (lesson 15).

It stands in for OSWorld (arXiv 2404.07972), which needs live virtual machines. Single right actions are not enough:
an episode takes three in a row, and a wrong click has to be noticed and undone within the step limit. All episodes
advance together, one batched answer a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from minikimi.answers import Verdict, final_answer, running_text_answer
from minikimi.data.forms import RUNNING_TEXT
from minikimi.evaluation.ask import ask
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.sample import Sample, question_and_answer
from minikimi.world.desktop import Desktop


@dataclass
class Game:
    """An episode, the screens that were shown, what the model said, and what came of it. tokens: all its outputs'."""

    seed: tuple[int, int]
    episode: Desktop = field(init=False)
    screens: list[Sample] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    tokens: int = 0

    def __post_init__(self) -> None:
        self.episode = new_episode(self.seed)

    @property
    def name(self) -> str:
        """`desktop-5-0` for seed (5, 0)."""
        return f"desktop-{self.seed[0]}-{self.seed[1]}"

    @property
    def verdict(self) -> Verdict:
        """Right if the goal was reached. An episode without one well-formed action counts as not parsed."""
        return Verdict(", ".join(self.episode.history) or None, self.episode.success)

    def moment(self) -> Sample:
        """The question of the present moment: screenshot, goal and history."""
        messages, told = question_and_answer(self.episode.prompt, ""), [self.episode.screen.describe()]
        return Sample(self.name, "desktop", messages, [self.episode.screenshot()], "", told=told)

    def step(self, output: str, form: str, tokens: int) -> None:
        """Do what the output says."""
        action = final_answer(running_text_answer(output) if form in RUNNING_TEXT else output) or ""
        self.log.append(f"{action} -> {self.episode.act(action)}")
        self.tokens += tokens

    def as_sample(self) -> Sample:
        """The whole episode as one sample, for the report: all screens, the goal, the right actions."""
        images = [image for screen in self.screens for image in screen.images]
        answer = solution(self.seed)
        messages = question_and_answer(self.screens[0].question, answer, len(images))
        return Sample(self.name, "desktop", messages, images, answer)


def solution(seed: Sequence[int]) -> str:
    """The right actions of an episode, in order."""
    episode = new_episode(seed)
    actions = []
    while not episode.done:
        actions.append(episode.oracle())
        episode.act(actions[-1])
    return ", ".join(actions)


def new_episode(seed: Sequence[int]) -> Desktop:
    """A desktop whose goal training never sets."""
    return Desktop(np.random.default_rng(list(seed)), held_out=True)


def play(
    model: KimiVL, processor: Processor, seed: int, count: int, max_new_tokens: int, form: str, blind: bool = False
) -> list[Game]:
    """Play `count` held-out episodes to their ends; `blind`: without the screenshots."""
    games = [Game((seed, i)) for i in range(count)]
    while running := [game for game in games if not game.episode.done]:
        screens = [game.moment() for game in running]
        outputs = ask(model, processor, screens, max_new_tokens, form, blind)
        for game, screen, ids in zip(running, screens, outputs, strict=True):
            game.screens.append(screen)
            game.step(str(processor.decode(ids)), form, len(ids))
    return games
