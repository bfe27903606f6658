"""Task `word`: read a printed word or code (lesson 09)."""

from __future__ import annotations

from minikimi.world import art, glyphs
from minikimi.world.canvas import Rng, between, pick
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.words import draw_text
from minikimi.world.writing import fitting, write

QUESTIONS = ["Which word is printed here?", "Read the word.", "What does the sign say?"]


def draw(rng: Rng, held_out: bool) -> Scene:
    """A printed word of three to five capitals or a code of up to five; the answer is the same letters."""
    text = fitting(lambda: draw_text(rng), held_out)
    font_name, size = pick(rng, art.FONTS), between(rng, *glyphs.FONT_SIZES)
    canvas, worn = write(rng, [glyphs.printed(letter, font_name, size) for letter in text], held_out)
    return Scene(
        images=[canvas.image],
        question=pick(rng, QUESTIONS),
        answer=text,
        caption=f"the word {text}",
        facts=canvas.facts("word", value=text, font=font_name, size=size, **worn),
    )


TASK = Task(name="word", draw=draw, benchmark="documents")
