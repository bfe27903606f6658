"""Task `order`: a clip of different things; what came first, or what comes after? (lesson 09)

A clip is a list of images with `Frame 1:` before the first and so on, as the Kimi-VL report's video data (arXiv
2504.07491, section 3.1) reaches the model. All frames of a clip have one background and one size.
"""

from __future__ import annotations

from collections.abc import Mapping

from minikimi.sample import Sample
from minikimi.world.canvas import CELL, Canvas, Rng, between, draw_background, pick
from minikimi.world.scene import Scene, sheet_facts
from minikimi.world.sequence import draw_names
from minikimi.world.task import Task, one_of_the_answers

SIZES = (22, 26)  # longest side of a picture, px
FIRST_QUESTIONS = ["What came first, the {} or the {}?", "Which is seen first, the {} or the {}?"]
AFTER_QUESTIONS = ["What comes after the {}?", "Which thing follows the {}?"]


def draw(rng: Rng, held_out: bool) -> Scene:
    """Three or four frames, at most one of them empty; what came first of two things, or what comes after one."""
    frame_count = between(rng, 3, 4)
    numbers = [n + 1 for n in sorted(rng.permutation(frame_count)[: between(rng, 3, frame_count)].tolist())]
    kind = pick(rng, ["order.first", "order.after"])
    at = between(rng, 0, len(numbers) - 2) + (kind == "order.after")  # of the answer: a later or an earlier one exists
    names = draw_names(rng, numbers, numbers[at] if held_out else None)
    answer = names[numbers[at]]
    told = [names.get(i, "nothing") for i in range(1, frame_count + 1)]
    caption = ", ".join(f"frame {i}: {words}" for i, words in enumerate(told, 1))
    if kind == "order.first":
        pair = [answer, names[numbers[between(rng, at + 1, len(numbers) - 1)]]]
        question = pick(rng, FIRST_QUESTIONS).format(*(pair[i] for i in rng.permutation(2)))
        steps = caption
    else:
        before = names[numbers[at - 1]]
        question = pick(rng, AFTER_QUESTIONS).format(before)
        steps = f"{' then '.join(names.values())}. {before} then {answer}"
    background = draw_background(rng, *([name] for name in names.values()))
    frames = [Canvas.blank(rng, (CELL, CELL), background) for _ in range(frame_count)]
    for number, name in names.items():
        frames[number - 1].paste(rng, name, between(rng, *SIZES), (0, 0, CELL, CELL))
    return Scene(
        images=[frame.image for frame in frames],
        label="Frame",
        question=question,
        answer=answer,
        caption=caption,
        solution=f"{steps}. {answer}",
        facts=sheet_facts(kind, frames, target=answer, number=numbers[at]),
        told=told,
    )


def chance(sample: Sample, counts: Mapping[str, int]) -> float:
    """One in two where the question names both things, "What came first, the dog or the cat?"."""
    return 1 / 2 if sample.kind == "order.first" else one_of_the_answers(sample, counts)


TASK = Task(name="order", draw=draw, chance=chance, benchmark="video", thinks=True)
