"""What stands where? `caption` (everything and its place), `where` (one thing, or one place) (lesson 09).

A scene is a 2 x 2 grid or a single row; each of its one to four things is a different picture and stays inside its
own cell, so a place is never in doubt. Kimi-VL report (arXiv 2504.07491), section 3.1: the caption and grounding
parts of the data.
"""

from __future__ import annotations

from minikimi.world.canvas import (
    Canvas,
    Rng,
    Scene,
    between,
    draw_background,
    draw_resolution,
    pick,
)
from minikimi.world.holdout import place_held_out
from minikimi.world.vocabulary import LAYOUTS, NAMES, PLACES

SIZES = (22, 26)  # longest side of a picture, px
CELL = 28  # side of a cell, px
FREE = 27  # most free paper to the right and below, px: never room for another cell, so that `left` cannot be taken
# for `top left`, nor `right` for `middle`, even when a thing stands alone
ALLOWED = {p: [n for n in NAMES if not place_held_out(n, p)] for p in PLACES}
RESERVED = {p: [n for n in NAMES if place_held_out(n, p)] for p in PLACES}

CAPTION_QUESTIONS = [
    "What is in the picture, and where?",
    "Describe the picture.",
    "Name everything you see and its place.",
    "List the things in the picture with their places.",
]
PLACE_QUESTIONS = [
    "Where is the {}?",
    "In which place is the {}?",
    "Find the {}. Where is it?",
]
THING_QUESTIONS = [
    "What is at the {}?",
    "Name the thing at the {}.",
    "Which thing do you see at the {}?",
]


def _arrange(rng: Rng, count: tuple[int, int], held_out: bool) -> tuple[Canvas, dict[str, str], str]:
    """A drawn scene, its {place: name} in reading order, and the place whose picture a held-out scene is about."""
    layout = pick(rng, list(LAYOUTS))
    rows, columns, places = LAYOUTS[layout]
    order = [places[i] for i in rng.permutation(len(places))][: between(rng, count[0], min(count[1], len(places)))]
    things: dict[str, str] = {}
    for place in order:
        pool = ALLOWED[place]
        if held_out:
            pool = NAMES if things else RESERVED[place]
        things[place] = pick(rng, [name for name in pool if name not in things.values()])
    width, height = CELL * columns, CELL * rows
    size = draw_resolution(rng, (width, width + FREE), (height, height + FREE), held_out)
    canvas = Canvas.blank(rng, size, draw_background(rng, things.values()))
    for place, cell in zip(places, canvas.cells(rows, columns, CELL), strict=True):
        if place in things:
            canvas.paste(rng, things[place], between(rng, *SIZES), cell)
    return (
        canvas,
        {place: things[place] for place in places if place in things},
        order[0],
    )


def describe(things: dict[str, str]) -> str:
    """`{"top left": "cat", "right": ...}` in reading order -> `cat at top left, ...`."""
    return ", ".join(f"{name} at {place}" for place, name in things.items())


def caption(rng: Rng, held_out: bool) -> Scene:
    """One to three things; the answer names each with its place, in reading order."""
    canvas, things, _ = _arrange(rng, (1, 3), held_out)
    text = describe(things)
    return Scene(
        [canvas.image],
        pick(rng, CAPTION_QUESTIONS),
        text,
        text,
        canvas.facts("caption", things=things),
    )


def _ask(rng: Rng, things: dict[str, str], place: str, ask_place: bool) -> tuple[str, str]:
    """Question and answer: where the thing at `place` is, or what is there."""
    if ask_place:
        return pick(rng, PLACE_QUESTIONS).format(things[place]), place
    return pick(rng, THING_QUESTIONS).format(place), things[place]


def where(rng: Rng, held_out: bool) -> Scene:
    """Two to four things; either the place of one is asked, or what stands at one place."""
    canvas, things, place = _arrange(rng, (2, 4), held_out)
    ask_place = rng.random() < 0.5
    question, answer = _ask(rng, things, place, ask_place)
    others = [] if held_out else [other for other in things if other != place]
    more = [_ask(rng, things, other, rng.random() < 0.5) for other in others]
    facts = canvas.facts("where.place" if ask_place else "where.thing", things=things, place=place)
    caption = describe(things)
    found = f"{things[place]} at {place}"
    solution = f"{caption}. {found}. {answer}" if ask_place else ""  # a thing has to be looked for, a place only at
    return Scene([canvas.image], question, answer, caption, facts, solution, more)
