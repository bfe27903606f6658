"""Pictures told in words: `story`, the text part of pre-training (lesson 09).

The description takes the place of the images, so the language model can learn to answer before it can see, as
Kimi-VL's had read 5.2 trillion tokens before its first picture (Kimi-VL report, arXiv 2504.07491, section 2.3).
"""

from __future__ import annotations

from minikimi.world import charts, documents, places, screens, tables, things, video
from minikimi.world.canvas import Rng, Scene, pick

TOLD = [
    places.caption,
    places.where,
    things.count,
    charts.chart,
    tables.table,
    tables.receipt,
    screens.click,
    video.motion,
    video.order,
    documents.pages,
    documents.compare,
]


def story(rng: Rng, held_out: bool) -> Scene:
    """A description, then a question about it; no image."""
    scene = pick(rng, TOLD)(rng, held_out)
    question = f"{scene.caption}. {scene.question}"
    facts = {**scene.facts, "kind": f"story.{scene.facts['kind']}"}
    return Scene([], question, scene.answer, "", facts, scene.solution, scene.more)
