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
Cell = tuple[int, int, int, int]  # left, top, right, bottom, px
COLOURS = list(BACKGROUNDS)
CELL = 28  # px: side of the cell of a grid, one image token
FREE = 27  # px: most free paper to the right and below, never room for another cell
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

    @classmethod
    def sheet(
        cls, rng: Rng, rows: int, columns: int, held_out: bool, names: Collection[str] = (), free: int = FREE
    ) -> Canvas:
        """A plain sheet with room for `rows` x `columns` cells and up to `free` px more; its size is of the split, its
        background known to the pictures `names`."""
        width, height = CELL * columns, CELL * rows
        size = draw_resolution(rng, (width, width + free), (height, height + free), held_out)
        return cls.blank(rng, size, draw_background(rng, names))

    def paste(self, rng: Rng, name: str, size: int, cell: Cell) -> None:
        """Draw the picture `name`, longest side `size` px, near the middle of `cell` (left, top, right, bottom)."""
        drawn = picture(name, size)
        left = cell[0] + near_middle(rng, cell[2] - cell[0], drawn.width)
        top = cell[1] + near_middle(rng, cell[3] - cell[1], drawn.height)
        self.image.paste(drawn, (left, top), drawn)
        self.placements.append({"name": name, "box": (left, top, left + drawn.width, top + drawn.height)})

    @staticmethod
    def cells(rows: int, columns: int) -> list[Cell]:
        """Square cells of 28 px from the top left, in reading order. A cell is one image token: a vision transformer
        this small learns to see much sooner on such a grid."""
        return [(CELL * c, CELL * r, CELL * (c + 1), CELL * (r + 1)) for r in range(rows) for c in range(columns)]

    def facts(self, kind: str, **more: Any) -> dict[str, Any]:
        """What is known about the finished scene, for checks and for scoring."""
        return {"kind": kind, "background": self.background, "placements": self.placements, **more}
