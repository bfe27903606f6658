"""One thing, one image token: `glyph`, the smallest picture there is (lesson 09).

A batch holds hundreds of them, so a vision transformer learns the alphabet of this world first: pictures, flags,
letters, digits. It stands at the beginning of ViT training, where resolutions are small.
"""

from __future__ import annotations

from minikimi.world import art, glyphs
from minikimi.world.canvas import CELL, COLOURS, Canvas, Rng, between, pick
from minikimi.world.holdout import background_held_out
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.vocabulary import COUNTRIES, INKS, NAMES

SIZES = (22, 26)  # longest side of a picture or flag, px
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
QUESTIONS = ["What is this?", "What do you see?"]
WHOLE = (0, 0, CELL, CELL)


def draw(rng: Rng, held_out: bool) -> Scene:
    """A picture (half of the time), a flag or a character in a cell of 28 px; the answer is its name."""
    kind = pick(rng, ["picture", "picture", "flag", "character"])
    if kind == "character":
        name = pick(rng, list(CHARACTERS))
        canvas = Canvas.blank(rng, (CELL, CELL))
        mask = glyphs.printed(name, pick(rng, art.FONTS), between(rng, *glyphs.FONT_SIZES))
        if name.isdigit() and rng.random() < 0.7:
            (mask,), _ = glyphs.handwritten(rng, name, held_out)
        glyphs.stamp(rng, canvas, mask, WHOLE, pick(rng, INKS))
    else:
        name = pick(rng, COUNTRIES if kind == "flag" else NAMES)
        background = pick(rng, [b for b in COLOURS if background_held_out(name, b) == held_out])
        canvas = Canvas.blank(rng, (CELL, CELL), background)
        canvas.paste(rng, name, between(rng, *SIZES), WHOLE)
    return Scene(
        images=[canvas.image],
        question=pick(rng, QUESTIONS),
        answer=name,
        caption=name,
        facts=canvas.facts(f"glyph.{kind}", name=name),
    )


TASK = Task(name="glyph", draw=draw, group="glyphs")
