"""Task `story`: pictures told in words, the text part of pre-training (lesson 09).

The description takes the place of the images, so the language model can learn to answer before it can see, as
Kimi-VL's had read 5.2 trillion tokens before its first picture (Kimi-VL report, arXiv 2504.07491, section 2.3).
"""

from __future__ import annotations

from minikimi.world.canvas import Rng, pick
from minikimi.world.scene import Scene
from minikimi.world.task import Task, in_the_box
from minikimi.world.tasks import caption, chart, click, compare, count, motion, order, pages, receipt, table, where

SOURCES = [caption, where, count, chart, table, receipt, click, motion, order, pages, compare]


def draw(rng: Rng, held_out: bool) -> Scene:
    """A description, then a question about it; no image."""
    scene = pick(rng, SOURCES).draw(rng, held_out)
    return Scene(
        question=f"{scene.caption}. {scene.question}",
        answer=scene.answer,
        solution=scene.solution,
        more=scene.more,
        facts={**scene.facts, "kind": f"story.{scene.facts['kind']}"},
    )


TASK = Task(name="story", draw=draw, judge=in_the_box, thinks=True, group="words")
