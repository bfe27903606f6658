"""Task `needle`: one of several facts in a text of about 100 tokens (lesson 09)."""

from __future__ import annotations

from minikimi.world.canvas import Rng, between
from minikimi.world.needles import needle_scene
from minikimi.world.scene import Scene
from minikimi.world.task import Task


def draw(rng: Rng, held_out: bool) -> Scene:
    """About 80 to 128 tokens."""
    return needle_scene(rng, held_out, between(rng, 88, 128))


TASK = Task(name="needle", draw=draw, group="words")
