"""Task `number`: read a handwritten number (lesson 09)."""

from __future__ import annotations

from minikimi.world import chinese, glyphs
from minikimi.world.canvas import Rng, between, pick
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.writing import fitting, write

QUESTIONS = ["Which number is written here?", "Read the number.", "What number do you see?"]


def draw(rng: Rng, held_out: bool) -> Scene:
    """A handwritten number of one, two or three digits, equally often; held-out ones have three. The answer is its
    digits."""
    low, high = (100, 999) if held_out else pick(rng, [(0, 9), (10, 99), (100, 999)])
    value = fitting(lambda: str(between(rng, low, high)), held_out)
    masks, indices = glyphs.handwritten(rng, value, held_out)
    canvas, worn = write(rng, masks, held_out)
    question, caption, language = pick(rng, QUESTIONS), f"the number {value}", chinese.language(rng)
    if language == "zh":
        question, caption = pick(rng, chinese.NUMBER_QUESTIONS), f"数字{value}"
    facts = canvas.facts("number", value=value, digit_indices=indices, language=language, **worn)
    return Scene(images=[canvas.image], question=question, answer=value, caption=caption, facts=facts)


TASK = Task(name="number", draw=draw, benchmark="documents")
