"""A sheet of paper for one scene: its size, its colour, and pictures placed in the cells of a grid (lesson 09)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from minikimi.data.world.art import picture
from minikimi.data.world.holdout import resolution_held_out
from minikimi.data.world.vocabulary import BACKGROUNDS

T = TypeVar("T")
Rng = np.random.Generator
COLOURS = list(BACKGROUNDS)


def pick(rng: Rng, items: list[T]) -> T:
    """One of `items`, all equally likely."""
    return items[rng.integers(len(items))]


def between(rng: Rng, low: int, high: int) -> int:
    """An integer from `low` to `high`, both included."""
    return int(rng.integers(low, high + 1))


def draw_resolution(rng: Rng, widths: tuple[int, int], heights: tuple[int, int], held_out: bool) -> tuple[int, int]:
    """A (width, height) in px within both inclusive ranges, of the split. `heights` must span at least 8 px."""
    width = between(rng, *widths)
    allowed = [h for h in range(heights[0], heights[1] + 1) if resolution_held_out(width, h) == held_out]
    return width, pick(rng, allowed)


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
        """Draw the picture `name`, longest side `size` px, anywhere inside `cell` (left, top, right, bottom)."""
        drawn = picture(name, size)
        left = between(rng, cell[0], cell[2] - drawn.width)
        top = between(rng, cell[1], cell[3] - drawn.height)
        self.image.paste(drawn, (left, top), drawn)
        self.placements.append({"name": name, "box": (left, top, left + drawn.width, top + drawn.height)})

    def cells(self, rows: int, columns: int) -> list[tuple[int, int, int, int]]:
        """The cells of a grid in reading order, each one px inside its borders so that neighbours never touch."""
        width, height = self.image.size
        xs = [round(width * c / columns) for c in range(columns + 1)]
        ys = [round(height * r / rows) for r in range(rows + 1)]
        return [(xs[c] + 1, ys[r] + 1, xs[c + 1] - 1, ys[r + 1] - 1) for r in range(rows) for c in range(columns)]

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
    """A finished drawing with one question: what a task function returns."""

    image: Image.Image
    question: str
    answer: str
    caption: str
    facts: dict[str, Any]
