"""Task `pages`: a short document; which page shows something, or what does one show? (lesson 09)"""

from __future__ import annotations

from minikimi.world.canvas import Rng
from minikimi.world.documents import LEAFED, draw_document
from minikimi.world.scene import Scene
from minikimi.world.task import Task


def draw(rng: Rng, held_out: bool) -> Scene:
    """Three to six pages."""
    return draw_document(rng, held_out, 3, LEAFED)


TASK = Task(name="pages", draw=draw, benchmark="long documents", thinks=True)
