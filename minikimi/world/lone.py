"""A lone picture or flag on a sheet, for `group` and `flag` (lesson 09).

The knowledge part of the Kimi-VL report's data (arXiv 2504.07491, section 3.1) at toy scale: the answer is not written
in the image, it has to be remembered.
"""

from __future__ import annotations

from minikimi.world.canvas import CELL, COLOURS, FREE, Canvas, Rng, between, draw_resolution, pick
from minikimi.world.holdout import background_held_out


def draw_alone(rng: Rng, name: str, sizes: tuple[int, int], held_out: bool) -> Canvas:
    """The picture or flag `name`, longest side within `sizes` px, in the first cell of a sheet; its background is of
    the split."""
    background = pick(rng, [b for b in COLOURS if background_held_out(name, b) == held_out])
    canvas = Canvas.blank(rng, draw_resolution(rng, (CELL, CELL + FREE), (CELL, CELL + FREE), held_out), background)
    canvas.paste(rng, name, between(rng, *sizes), canvas.cells(1, 1)[0])
    return canvas
