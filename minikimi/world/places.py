"""What stands where: one to four different things, each in a place of its own (lesson 09).

A scene is a 2 x 2 grid or a single row; each of its things is a different picture and stays inside its own cell, so a
place is never in doubt. Kimi-VL report (arXiv 2504.07491), section 3.1: the caption and grounding parts of the data.
"""

from __future__ import annotations

from minikimi.world.canvas import Canvas, Rng, between, pick
from minikimi.world.holdout import place_held_out
from minikimi.world.vocabulary import LAYOUTS, NAMES, PLACES

SIZES = (22, 26)  # longest side of a picture, px
ALLOWED = {p: [n for n in NAMES if not place_held_out(n, p)] for p in PLACES}
RESERVED = {p: [n for n in NAMES if place_held_out(n, p)] for p in PLACES}


def arrange(rng: Rng, fewest: int, most: int, held_out: bool) -> tuple[Canvas, dict[str, str], str]:
    """A sheet of `fewest` to `most` things, its {place: name} in reading order, and the place whose picture a held-out
    scene is about.

    Free paper is never room for another cell, so that `left` cannot be taken for `top left`, nor `right` for `middle`,
    even when a thing stands alone.
    """
    layout = pick(rng, list(LAYOUTS))
    rows, columns, places = LAYOUTS[layout]
    order = [places[i] for i in rng.permutation(len(places))][: between(rng, fewest, min(most, len(places)))]
    things: dict[str, str] = {}
    for place in order:
        pool = ALLOWED[place]
        if held_out:
            pool = NAMES if things else RESERVED[place]
        things[place] = pick(rng, [name for name in pool if name not in things.values()])
    canvas = Canvas.sheet(rng, rows, columns, held_out, things.values())
    for place, cell in zip(places, canvas.cells(rows, columns), strict=True):
        if place in things:
            canvas.paste(rng, things[place], between(rng, *SIZES), cell)
    return canvas, {place: things[place] for place in places if place in things}, order[0]


def describe(things: dict[str, str]) -> str:
    """`{"top left": "cat", "right": ...}` in reading order -> `cat at top left, ...`."""
    return ", ".join(f"{name} at {place}" for place, name in things.items())
