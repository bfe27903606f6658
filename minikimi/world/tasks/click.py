"""Task `click`: the place of one icon on a screen, in numbers (lesson 09).

The grounding half of the agent data of the Kimi-VL report (arXiv 2504.07491, section 3.1) at toy scale.
"""

from __future__ import annotations

from collections.abc import Mapping

from PIL import ImageDraw

from minikimi.sample import Sample
from minikimi.world.canvas import CELL, FREE, Canvas, Rng, between, draw_resolution, pick
from minikimi.world.holdout import cell_held_out
from minikimi.world.scene import Scene
from minikimi.world.screens import click_on, describe_icons, normalised
from minikimi.world.task import Task, in_the_box
from minikimi.world.vocabulary import NAMES

GRIDS = [(2, 2), (2, 3), (3, 2), (3, 3)]  # rows, columns
SIZES = (22, 26)  # longest side of an icon, px
BAR_COLOUR = (70, 76, 90)  # of the task bar below the icons
QUESTIONS = ["Click on the {}.", "Where should I click to open the {}?", "Open the {}."]


def _choose_icons(rng: Rng, held_out: bool, grid: tuple[int, int]) -> tuple[dict[int, str], str]:
    """Two to four different pictures by number of their cell, and the one that is asked for."""
    rows, columns = grid
    chosen: dict[int, str] = {}
    for cell in rng.permutation(rows * columns)[: between(rng, 2, 4)].tolist():
        new = held_out and not chosen  # only the first, which is asked for, is new
        pool = [n for n in NAMES if cell_held_out(n, cell // columns, cell % columns) == new]
        chosen[cell] = pick(rng, [name for name in pool if name not in chosen.values()])
    return chosen, next(iter(chosen.values()))


def draw(rng: Rng, held_out: bool) -> Scene:
    """Two to four icons above a task bar; the answer clicks on the middle of the one asked for."""
    rows, columns = grid = pick(rng, GRIDS)
    width, height = columns * CELL, rows * CELL
    size = draw_resolution(rng, (width, width), (height, height + FREE), held_out)
    canvas = Canvas.blank(rng, size)
    ImageDraw.Draw(canvas.image).rectangle((0, height, width, size[1]), BAR_COLOUR)
    chosen, target = _choose_icons(rng, held_out, grid)
    cells = canvas.cells(rows, columns)
    for cell, name in sorted(chosen.items()):
        canvas.paste(rng, name, between(rng, *SIZES), cells[cell])
    icons = {p["name"]: normalised(p["box"], size) for p in canvas.placements}
    question = pick(rng, QUESTIONS).format(target)
    others = [] if held_out else [name for name in icons if name != target]
    answer, caption = click_on(icons[target]), describe_icons(icons)
    return Scene(
        images=[canvas.image],
        question=question,
        answer=answer,
        caption=caption,
        solution=f"{caption}. {answer}",
        more=[(pick(rng, QUESTIONS).format(name), click_on(icons[name])) for name in others],
        facts=canvas.facts("click", target=target, box=icons[target], icons=icons, bar=(height, size[1])),
    )


def chance(sample: Sample, counts: Mapping[str, int]) -> float:
    """The share of the screen that is right."""
    left, top, right, bottom = sample.facts["box"]
    return (right - left) * (bottom - top)


TASK = Task(name="click", draw=draw, judge=in_the_box, chance=chance, benchmark="agent", thinks=True)
