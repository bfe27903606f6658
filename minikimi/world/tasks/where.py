"""Task `where`: the place of one thing, or the thing at one place (lesson 09)."""

from __future__ import annotations

from minikimi.world.canvas import Rng, pick
from minikimi.world.places import arrange, describe
from minikimi.world.scene import Scene
from minikimi.world.task import Task

PLACE_QUESTIONS = ["Where is the {}?", "In which place is the {}?", "Find the {}. Where is it?"]
THING_QUESTIONS = ["What is at the {}?", "Name the thing at the {}.", "Which thing do you see at the {}?"]


def _ask(rng: Rng, things: dict[str, str], place: str, ask_place: bool) -> tuple[str, str]:
    """Question and answer: where the thing at `place` is, or what is there."""
    if ask_place:
        return pick(rng, PLACE_QUESTIONS).format(things[place]), place
    return pick(rng, THING_QUESTIONS).format(place), things[place]


def draw(rng: Rng, held_out: bool) -> Scene:
    """Two to four things; either the place of one is asked, or what stands at one place."""
    canvas, things, place = arrange(rng, 2, 4, held_out)
    ask_place = rng.random() < 0.5
    question, answer = _ask(rng, things, place, ask_place)
    others = [] if held_out else [other for other in things if other != place]
    more = [_ask(rng, things, other, rng.random() < 0.5) for other in others]
    caption = describe(things)
    return Scene(
        images=[canvas.image],
        question=question,
        answer=answer,
        caption=caption,
        # A thing has to be looked for, a place only at.
        solution=f"{caption}. {things[place]} at {place}. {answer}" if ask_place else "",
        more=more,
        facts=canvas.facts("where.place" if ask_place else "where.thing", things=things, place=place),
    )


TASK = Task(name="where", draw=draw, benchmark="general", thinks=True)
