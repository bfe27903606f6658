"""Task `needle_2048`: one of several facts in a text of about 2,000 tokens (lessons 09 and 12)."""

from __future__ import annotations

from minikimi.world.canvas import Rng, between
from minikimi.world.needles import needle_scene
from minikimi.world.scene import Scene
from minikimi.world.task import Task


def draw(rng: Rng, held_out: bool) -> Scene:
    """About 1,690 to 2,048 tokens."""
    return needle_scene(rng, held_out, between(rng, 1700, 2048))


TASK = Task(name="needle_2048", draw=draw, group="long")
