"""Task `group`: which kind of thing is this? (lesson 09)"""

from __future__ import annotations

from minikimi.world import chinese
from minikimi.world.canvas import Rng, pick
from minikimi.world.chinese import CHINESE
from minikimi.world.lone import draw_alone
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.vocabulary import GROUP_OF, GROUPS, NAMES

SIZES = (22, 26)  # longest side of the picture, px
QUESTIONS = [
    "Which group is this: " + ", ".join(GROUPS) + "?",
    "Which group does this belong to?",
    "What kind of thing is this?",
]


def draw(rng: Rng, held_out: bool) -> Scene:
    """One picture; the answer is its group."""
    name = pick(rng, NAMES)
    canvas = draw_alone(rng, name, SIZES, held_out)
    question, answer, caption, language = pick(rng, QUESTIONS), GROUP_OF[name], name, chinese.language(rng)
    if language == "zh":
        question, answer, caption = pick(rng, chinese.GROUP_QUESTIONS), CHINESE[answer], CHINESE[name]
    facts = canvas.facts("group", name=name, language=language)
    return Scene(images=[canvas.image], question=question, answer=answer, caption=caption, facts=facts)


TASK = Task(name="group", draw=draw, benchmark="knowledge")
