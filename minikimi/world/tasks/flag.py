"""Task `flag`: which country's flag is this? (lesson 09)"""

from __future__ import annotations

from minikimi.world import chinese
from minikimi.world.canvas import Rng, pick
from minikimi.world.chinese import CHINESE
from minikimi.world.lone import draw_alone
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.vocabulary import COUNTRIES

SIZES = (23, 26)  # longest side of the flag, px
QUESTIONS = [
    "Which country's flag is this?",
    "This is the flag of which country?",
    "Name the country of this flag.",
]


def draw(rng: Rng, held_out: bool) -> Scene:
    """One flag; the answer is its country."""
    country = pick(rng, COUNTRIES)
    canvas = draw_alone(rng, country, SIZES, held_out)
    question, answer, caption = pick(rng, QUESTIONS), country, f"flag of {country}"
    language = chinese.language(rng)
    if language == "zh":
        question, answer, caption = pick(rng, chinese.FLAG_QUESTIONS), CHINESE[country], f"{CHINESE[country]}国旗"
    facts = canvas.facts("flag", name=country, language=language)
    return Scene(images=[canvas.image], question=question, answer=answer, caption=caption, facts=facts)


TASK = Task(name="flag", draw=draw, benchmark="knowledge")
