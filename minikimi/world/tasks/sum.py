"""Task `sum`: two handwritten numbers to add or to subtract (lesson 09)."""

from __future__ import annotations

from minikimi.world import art, glyphs
from minikimi.world.canvas import Canvas, Rng, between, pick
from minikimi.world.scene import Scene
from minikimi.world.sums import draw_problem
from minikimi.world.task import Task
from minikimi.world.vocabulary import INKS

QUESTIONS = ["What is the result?", "Work it out.", "How much is it?", "Calculate."]


def draw(rng: Rng, held_out: bool) -> Scene:
    """Two handwritten numbers in one row with a printed sign between; the answer is the result."""
    text, answer, solution, problem = draw_problem(rng, held_out)
    masks, indices = glyphs.handwritten(rng, f"{problem['a']}{problem['b']}", held_out)
    sign = problem["sign"].replace("-", "\N{MINUS SIGN}")
    masks.insert(len(str(problem["a"])), glyphs.printed(sign, pick(rng, art.FONTS), between(rng, *glyphs.FONT_SIZES)))
    ink = pick(rng, INKS)
    canvas = Canvas.sheet(rng, 1, len(masks), held_out)
    for mask, cell in zip(masks, canvas.cells(1, len(masks)), strict=True):
        glyphs.stamp(rng, canvas, mask, cell, ink)
    return Scene(
        images=[canvas.image],
        question=pick(rng, QUESTIONS),
        answer=answer,
        caption=text,
        solution=solution,
        facts=canvas.facts("sum", digit_indices=indices, **problem),
    )


TASK = Task(name="sum", draw=draw, benchmark="maths", thinks=True)
