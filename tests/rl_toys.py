"""What the tests of reinforcement learning share: a processor of letters for the tiny models, prompts, a toy task."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import torch
from tiny_models import random_images, random_text, text_with_images

from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Encoded
from minikimi.rl.batch import RolloutBatch
from minikimi.rl.engine import RolloutEngine
from minikimi.rl.problems import ProblemPool
from minikimi.rl.rewards import reward
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.sample import Sample, question_and_answer

LETTERS = string.ascii_letters + "01234567"  # the 60 ordinary ids of the tiny models


class LetterTokenizer:
    """Each letter is a token."""

    def encode(self, text: str) -> list[int]:
        return [LETTERS.index(c) for c in text]


class Letters:
    """A processor whose tokens are single letters; ids from 60 on are control tokens without text."""

    tokenizer = LetterTokenizer()

    def encode(self, messages: Sequence[Any], images: Any = None, add_generation_prompt: bool = False) -> Encoded:
        ids = torch.tensor(self.tokenizer.encode(messages[-1]["content"][-1]["text"]))
        return Encoded(ids, torch.full_like(ids, -100), *random_images([]))

    def decode(self, ids: Any) -> str:
        return "".join(LETTERS[i] for i in ids if i < len(LETTERS))


class Questions:
    """Problems: say letters of the first half of the alphabet after `a`, of the second after `Z`; two levels."""

    def __init__(self, size: int = 8) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> Sample:
        word = ("a" if i % 2 else "Z") + LETTERS[i]
        facts = {"difficulty": 1 + i % 2}
        return Sample(f"q{i}", "half", question_and_answer(word, "x", 0), [], "x", facts=facts)


@reward("half")
def half(completions: Sequence[str], question: Sequence[str], **_: Any) -> list[float]:
    """The share of the letters that lie in the half that the question asks for."""
    wanted = [LETTERS[:30] if q.startswith("a") else LETTERS[30:] for q in question]
    return [sum(c in w for c in text) / max(len(text), 1) for text, w in zip(completions, wanted, strict=True)]


@reward("even")
def even(completions: Sequence[str], question: Sequence[str], **_: Any) -> list[float]:
    """0 on every problem of level 1 (`Z`); on those of level 2, 1 where the number of letters is even."""
    return [float(q.startswith("a") and len(text) % 2 == 0) for text, q in zip(completions, question, strict=True)]


def engine(model: KimiVL, steps: int = 8, source: Any = None, seed: int = 0, **settings: Any) -> RolloutEngine:
    """An engine on letters."""
    defaults: dict[str, Any] = dict(problems=4, samples=4, max_new_tokens=10, rewards={"half": 1.0})
    pool = ProblemPool(source or Questions(), 8, seed=seed)
    return RolloutEngine(model, Letters(), pool, RolloutSettings(**{**defaults, **settings}), steps)  # type: ignore[arg-type]


def prompts() -> list[Encoded]:
    """Three prompts: with one image, without any, with two images of unequal shapes."""
    grids: list[list[tuple[int, int]]] = [[(2, 4)], [], [(4, 2), (2, 6)]]
    out = []
    for i, shapes in enumerate(grids):
        pixels, hws = random_images(shapes, i)
        ids = text_with_images(5 + i, shapes, i) if shapes else random_text(4, i)
        out.append(Encoded(ids, torch.full_like(ids, -100), pixels, hws))
    return out


def same(a: RolloutBatch, b: RolloutBatch) -> bool:
    """Whether two batches hold the same bits, times aside."""
    numbers = [{k: v for k, v in x.metrics.items() if not k.startswith("rollout_")} for x in (a, b)]
    tensors = all(
        torch.equal(value, vars(b)[name]) for name, value in vars(a).items() if isinstance(value, torch.Tensor)
    )
    return tensors and a.inner == b.inner and numbers[0] == numbers[1]
