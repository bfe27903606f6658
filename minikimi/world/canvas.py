"""A sheet of paper for one scene: its size, its colour, and pictures placed in the cells of a grid (lesson 09)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from minikimi.world.art import picture
from minikimi.world.holdout import background_held_out, resolution_held_out
from minikimi.world.vocabulary import BACKGROUNDS

T = TypeVar("T")
Rng = np.random.Generator
COLOURS = list(BACKGROUNDS)
SNUG = 0.6  # share of sheets without free paper, in either direction


def pick(rng: Rng, items: list[T]) -> T:
    """One of `items`, all equally likely."""
    return items[rng.integers(len(items))]


def between(rng: Rng, low: int, high: int) -> int:
    """An integer from `low` to `high`, both included."""
    return int(rng.integers(low, high + 1))


def draw_resolution(rng: Rng, widths: tuple[int, int], heights: tuple[int, int], held_out: bool) -> tuple[int, int]:
    """A (width, height) in px within both inclusive ranges, of the split; `heights` must span at least 8 px.

    Often the smallest, because every row or column of 28 px more costs image tokens.
    """
    width = widths[0] if rng.random() < SNUG else between(rng, *widths)
    allowed = [h for h in range(heights[0], heights[1] + 1) if resolution_held_out(width, h) == held_out]
    return width, allowed[0] if rng.random() < SNUG else pick(rng, allowed)


def draw_background(rng: Rng, *sheets: Collection[str]) -> str:
    """One background for all `sheets` (the names of their pictures), known to every picture that stands alone."""
    alone = [name for names in sheets if len(names) == 1 for name in names]
    return pick(rng, [b for b in COLOURS if not any(background_held_out(name, b) for name in alone)])


def near_middle(rng: Rng, side: int, length: int) -> int:
    """Where a thing of `length` px starts in a cell of `side` px: up to 2 px off the middle, 1 px of paper left."""
    room = side - length
    return min(max(room // 2 + between(rng, -2, 2), 1), room - 1)


@dataclass
class Canvas:
    """An RGB image under construction. `placements`: name and box (left, top, right, bottom), px, of all pictures."""

    image: Image.Image
    background: str
    placements: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def blank(cls, rng: Rng, size: tuple[int, int], background: str | None = None) -> Canvas:
        """A plain sheet of `size` (width, height), its colour drawn unless given."""
        background = background or pick(rng, COLOURS)
        return cls(Image.new("RGB", size, BACKGROUNDS[background]), background)

    def paste(self, rng: Rng, name: str, size: int, cell: tuple[int, int, int, int]) -> None:
        """Draw the picture `name`, longest side `size` px, near the middle of `cell` (left, top, right, bottom)."""
        drawn = picture(name, size)
        left = cell[0] + near_middle(rng, cell[2] - cell[0], drawn.width)
        top = cell[1] + near_middle(rng, cell[3] - cell[1], drawn.height)
        self.image.paste(drawn, (left, top), drawn)
        self.placements.append({"name": name, "box": (left, top, left + drawn.width, top + drawn.height)})

    @staticmethod
    def cells(rows: int, columns: int, side: int) -> list[tuple[int, int, int, int]]:
        """Square cells of `side` px from the top left, in reading order. With `side` a multiple of 28 px, a cell is a
        whole number of image tokens: a vision transformer this small learns to see much sooner on such a grid."""
        return [(side * c, side * r, side * (c + 1), side * (r + 1)) for r in range(rows) for c in range(columns)]

    def facts(self, kind: str, **more: Any) -> dict[str, Any]:
        """What is known about the finished scene, for checks and for scoring."""
        return {
            "kind": kind,
            "background": self.background,
            "placements": self.placements,
            **more,
        }


@dataclass(frozen=True)
class Scene:
    """Finished drawings with one question: what a task function returns.

    images: in order; none for a task of words. caption: all that the images show, so that the answer follows from it.
    solution: worked steps that lead to the answer, for tasks worth thinking about. more: further
    questions about the same images with their answers, only in training. content: the parts of the user's
    turn, where words stand between the images; by default all images come first, then the question. told: each image
    in words; by default the caption tells the only one.
    """

    images: list[Image.Image]
    question: str
    answer: str
    caption: str
    facts: dict[str, Any]
    solution: str = ""
    more: list[tuple[str, str]] = field(default_factory=list)
    content: list[dict[str, Any]] | None = None
    told: list[str] | None = None
