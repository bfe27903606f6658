"""Task `needle_512`: one of several facts in a text of about 500 tokens (lessons 09 and 12)."""

from __future__ import annotations

from minikimi.world.canvas import Rng, between
from minikimi.world.needles import needle_scene
from minikimi.world.scene import Scene
from minikimi.world.task import Task


def draw(rng: Rng, held_out: bool) -> Scene:
    """About 390 to 512 tokens."""
    return needle_scene(rng, held_out, between(rng, 400, 512))


TASK = Task(name="needle_512", draw=draw, group="long")
