"""Screens to point at: `click` asks for the place of one icon in numbers (lesson 09).

Coordinates are fractions of the screen, x from the left and y from the top, with two decimals, as in ScreenSpot
(SeeClick, arXiv 2401.10935); any point inside the icon's box is right. The grounding half of the agent data of the
Kimi-VL report (arXiv 2504.07491, section 3.1) at toy scale.
"""

from __future__ import annotations

from PIL import ImageDraw

from minikimi.world.canvas import Canvas, Rng, Scene, between, draw_resolution, pick
from minikimi.world.holdout import cell_held_out
from minikimi.world.vocabulary import NAMES

Box = tuple[float, float, float, float]

CELL = 28  # side of the cell of an icon, px
GRIDS = [(2, 2), (2, 3), (3, 2), (3, 3)]  # rows, columns
ICON_SIZES = (22, 26)  # longest side of an icon, px
BAR = 27  # greatest height of the task bar below the icons, px: never room for another row
BAR_COLOUR = (70, 76, 90)

CLICK_QUESTIONS = ["Click on the {}.", "Where should I click to open the {}?", "Open the {}."]


def normalised(box: tuple[int, int, int, int], size: tuple[int, int]) -> Box:
    """A box in px as fractions (0 to 1) of a screen of `size` (width, height) px."""
    (left, top, right, bottom), (width, height) = box, size
    return left / width, top / height, right / width, bottom / height


def centre(box: Box) -> tuple[str, str]:
    """x and y of the middle of a normalised box, as they are written: `("0.25", "0.75")`."""
    return f"{(box[0] + box[2]) / 2:.2f}", f"{(box[1] + box[3]) / 2:.2f}"


def click_on(box: Box) -> str:
    """The action that clicks on the middle of a normalised box: `click(0.25, 0.75)`."""
    x, y = centre(box)
    return f"click({x}, {y})"


def describe_icons(icons: dict[str, Box]) -> str:
    """`cat at 0.25 0.75, dog at 0.75 0.75`."""
    return ", ".join(f"{name} at {' '.join(centre(box))}" for name, box in icons.items())


def _choose_icons(rng: Rng, held_out: bool, grid: tuple[int, int]) -> tuple[dict[int, str], str]:
    """Two to four different pictures by number of their cell, and the one that is asked for."""
    rows, columns = grid
    chosen: dict[int, str] = {}
    for cell in rng.permutation(rows * columns)[: between(rng, 2, 4)].tolist():
        new = held_out and not chosen  # only the first, which is asked for, is new
        pool = [n for n in NAMES if cell_held_out(n, cell // columns, cell % columns) == new]
        chosen[cell] = pick(rng, [name for name in pool if name not in chosen.values()])
    return chosen, next(iter(chosen.values()))


def click(rng: Rng, held_out: bool) -> Scene:
    """Two to four icons above a task bar; the answer clicks on the middle of the one asked for."""
    rows, columns = grid = pick(rng, GRIDS)
    width, height = columns * CELL, rows * CELL
    size = draw_resolution(rng, (width, width), (height, height + BAR), held_out)
    canvas = Canvas.blank(rng, size)
    ImageDraw.Draw(canvas.image).rectangle((0, height, width, size[1]), BAR_COLOUR)
    chosen, target = _choose_icons(rng, held_out, grid)
    cells = canvas.cells(rows, columns, CELL)
    for cell, name in sorted(chosen.items()):
        canvas.paste(rng, name, between(rng, *ICON_SIZES), cells[cell])
    icons = {p["name"]: normalised(p["box"], size) for p in canvas.placements}
    facts = canvas.facts("click", target=target, box=icons[target], icons=icons, bar=(height, size[1]))
    question = pick(rng, CLICK_QUESTIONS).format(target)
    others = [] if held_out else [name for name in icons if name != target]
    more = [(pick(rng, CLICK_QUESTIONS).format(name), click_on(icons[name])) for name in others]
    answer, caption = click_on(icons[target]), describe_icons(icons)
    return Scene([canvas.image], question, answer, caption, facts, f"{caption}. {answer}", more)
