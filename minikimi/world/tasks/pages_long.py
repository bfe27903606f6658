"""Task `pages_long`: the questions of `pages` about a long document (lessons 09 and 12)."""

from __future__ import annotations

from minikimi.world.canvas import Rng
from minikimi.world.documents import draw_document
from minikimi.world.scene import Scene
from minikimi.world.task import EXTRA, Task


def draw(rng: Rng, held_out: bool) -> Scene:
    """36 to 40 pages: about 500 tokens, of which four answer the question."""
    return draw_document(rng, held_out, 36, 40)


TASK = Task(name="pages_long", draw=draw, benchmark=EXTRA, group="long")
