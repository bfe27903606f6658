"""A question of a benchmark, and what an output is worth (lesson 15)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image


@dataclass(frozen=True)
class Score:
    """What one output is worth, 0 to 1.

    official: by the program that the benchmark's module names. strict: by that and by the law of answers, without luck;
    never more. parsed: the answer that was found, None if nothing was. branch: which part of the rule found it. paper:
    by the formula of the benchmark's paper, where its program differs, else None.
    """

    official: float
    strict: float
    parsed: str | None
    branch: str
    paper: float | None = None


@dataclass(frozen=True)
class Item:
    """One question to ask once.

    id: of the item, in the benchmark's own numbering. content: parts of the user's turn; image parts stand in the
    order of `images`. answer: what the scoring rule `score` compares with, in its own form. group: items that count
    only together (the rotations of one MMBench question). about: facts that results are grouped by.
    """

    id: str
    content: list[dict[str, Any]]
    images: list[Image.Image]
    answer: Any
    score: Callable[[str], Score]
    group: str = ""
    about: dict[str, Any] = field(default_factory=dict)


def guess(item_id: str, choices: list[str]) -> str:
    """The dice that some official programs throw for an unreadable answer: always the same for the same item."""
    return random.Random(item_id).choice(choices)


def text_part(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def image_parts(count: int) -> list[dict[str, Any]]:
    return [{"type": "image"} for _ in range(count)]
