"""Answers written by a script in the place of a model, for tests of the evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from minikimi.evaluation import episodes
from minikimi.evaluation.settings import settings
from minikimi.processor.processor import Processor
from minikimi.sample import Sample
from minikimi.world.desktop import Desktop

PROCESSOR = Processor.small()
OPTIONS = replace(settings("nano"), per_task=6, prior_samples=40, answer_tokens=48)
MODEL: Any = None  # never asked: `ask` is replaced


def encoded(texts: list[str]) -> list[list[int]]:
    return [PROCESSOR.tokenizer.encode(text) for text in texts]


def knowing(
    model: Any, processor: Processor, samples: list[Sample], limit: int, form: str = "chat", blind: bool = False
) -> list[list[int]]:
    """Answers of a model that knows everything, if it is shown the picture."""
    return encoded(["" if blind else sample.answer for sample in samples])


def clicking(monkeypatch: pytest.MonkeyPatch, choose_action: Callable[[Desktop], str]) -> list[int]:
    """Let the desktop be played by `choose_action(twin episode)`; returns the growing list of batch sizes."""
    twins: dict[str, Desktop] = {}
    sizes: list[int] = []

    def ask(model: Any, processor: Any, samples: list[Sample], limit: int, form: str, blind: bool) -> list[list[int]]:
        sizes.append(len(samples))
        said = []
        for sample in samples:
            _, seed, number = sample.id.split("-")
            twin = twins.setdefault(sample.id + str(blind), episodes.new_episode((int(seed), int(number))))
            assert sample.question == twin.prompt  # the model is told goal and history of its own episode
            action = "" if blind else choose_action(twin)
            said.append(action)
            twin.act(action)
        return encoded(said)

    monkeypatch.setattr(episodes, "ask", ask)
    return sizes
