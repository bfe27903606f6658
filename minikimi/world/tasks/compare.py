"""Task `compare`: which of several images shows a thing, or what does only one of them show? (lesson 09)

The interleaved data of the Kimi-VL report (arXiv 2504.07491, section 3.1) at toy scale.
"""

from __future__ import annotations

from minikimi.world.canvas import CELL, Canvas, Rng, between, draw_background, pick
from minikimi.world.scene import Scene, sheet_facts
from minikimi.world.sequence import draw_name
from minikimi.world.task import Task

SIZES = (22, 26)  # longest side of a picture, px
WHICH_QUESTIONS = ["Which image shows the {}?", "In which image is the {}?"]
ONLY_QUESTIONS = ["Which thing is only in image {}?", "What does only image {} show?"]


def _small_sheet(rng: Rng, names: list[str], background: str) -> Canvas:
    """Up to four pictures in the cells of a sheet of 2 x 2."""
    sheet = Canvas.blank(rng, (2 * CELL, 2 * CELL), background)
    cells = sorted(rng.permutation(4)[: len(names)].tolist())
    for cell, i in zip(cells, rng.permutation(len(names)), strict=True):
        sheet.paste(rng, names[i], between(rng, *SIZES), sheet.cells(2, 2)[cell])
    return sheet


def _draw_different(rng: Rng, target: int, held_out: bool) -> dict[int, list[str]]:
    """Two to four images of one or two pictures, all different; image `target` begins with the one asked for."""
    names = {target: [draw_name(rng, [target], (), new=held_out)]}
    for number in range(1, between(rng, max(2, target), 4) + 1):
        for _ in range(between(rng, 1, 2) - len(names.setdefault(number, []))):
            taken = [name for drawn in names.values() for name in drawn]
            names[number].append(draw_name(rng, [number], taken))
    return names


def _draw_sharing(rng: Rng, target: int, held_out: bool) -> dict[int, list[str]]:
    """Two images that share one or two pictures; each begins with one of its own."""
    own = {target: draw_name(rng, [target], (), new=held_out)}
    own[3 - target] = draw_name(rng, [3 - target], own.values())
    shared: list[str] = []
    for _ in range(between(rng, 1, 2)):
        shared.append(draw_name(rng, [1, 2], [*own.values(), *shared]))
    return {number: [name, *shared] for number, name in own.items()}


def _side_by_side(shown: list[str], own: str) -> str:
    """The things of an image as far as its own one, which no other image has: `cat both, dog both, hat only`."""
    shared = shown[: shown.index(own)]
    return ", ".join([*(f"{name} both" for name in shared), f"{own} only"])


def draw(rng: Rng, held_out: bool) -> Scene:
    """Which of two to four images shows a thing, or which thing only one of two images shows."""
    kind = pick(rng, ["compare.which", "compare.only"])
    which = kind == "compare.which"
    target = between(rng, 1, 4 if which else 2)
    names = (_draw_different if which else _draw_sharing)(rng, target, held_out)
    thing, image = names[target][0], f"image {target}"
    question = pick(rng, WHICH_QUESTIONS).format(thing) if which else pick(rng, ONLY_QUESTIONS).format(target)
    background = draw_background(rng, *names.values())
    sheets = [_small_sheet(rng, names[number], background) for number in sorted(names)]
    contents = {i: [drawn["name"] for drawn in sheet.placements] for i, sheet in enumerate(sheets, 1)}
    told = [", ".join(shown) for shown in contents.values()]
    caption = "; ".join(f"image {i}: {words}" for i, words in enumerate(told, 1))
    answer = image if which else thing
    others = [n for n in names if n != target] if which and not held_out else []
    more = [(pick(rng, WHICH_QUESTIONS).format(names[n][0]), f"image {n}") for n in others]
    index = ", ".join(f"{name} in image {i}" for i, shown in contents.items() for name in shown)
    steps = f"{index}. {thing} in {image}" if which else f"{caption}. {_side_by_side(contents[target], thing)}"
    return Scene(
        images=[sheet.image for sheet in sheets],
        label="Image",
        question=question,
        answer=answer,
        caption=caption,
        solution=f"{steps}. {answer}",
        more=more,
        facts=sheet_facts(kind, sheets, target=thing, number=target),
        told=told,
    )


TASK = Task(name="compare", draw=draw, benchmark="long documents", thinks=True)
