"""Task `caption`: one to three things, each named with its place (lesson 09)."""

from __future__ import annotations

from minikimi.world.canvas import Rng, pick
from minikimi.world.places import arrange, describe
from minikimi.world.scene import Scene
from minikimi.world.task import Task

QUESTIONS = [
    "What is in the picture, and where?",
    "Describe the picture.",
    "Name everything you see and its place.",
    "List the things in the picture with their places.",
]


def draw(rng: Rng, held_out: bool) -> Scene:
    """One to three things; the answer names each with its place, in reading order."""
    canvas, things, _ = arrange(rng, 1, 3, held_out)
    text = describe(things)
    return Scene(
        images=[canvas.image],
        question=pick(rng, QUESTIONS),
        answer=text,
        caption=text,
        facts=canvas.facts("caption", things=things),
    )


TASK = Task(name="caption", draw=draw, benchmark="general")
