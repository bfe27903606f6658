"""Task `arithmetic`: the problems of `sum` in words, without an image (lesson 09)."""

from __future__ import annotations

from minikimi.world.canvas import Rng, pick
from minikimi.world.scene import Scene
from minikimi.world.sums import draw_problem
from minikimi.world.task import EXTRA, Task

QUESTIONS = ["What is {}?", "How much is {}?", "Calculate {}."]


def draw(rng: Rng, held_out: bool) -> Scene:
    """A sum or a difference of two numbers; the answer is the result."""
    text, answer, solution, problem = draw_problem(rng, held_out)
    return Scene(
        question=pick(rng, QUESTIONS).format(text),
        answer=answer,
        solution=solution,
        facts={"kind": "arithmetic", **problem},
    )


TASK = Task(name="arithmetic", draw=draw, benchmark=EXTRA, thinks=True, group="words")
