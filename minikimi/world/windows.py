"""What a small desktop looks like: icons, and windows with a title, buttons and a text field (lesson 09).

Everything lies in cells of 28 px, one image token each. A screen has three rows and three or four columns: icons, or
a window's title, its buttons, and its text field with one letter to a cell.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageDraw

from minikimi.world import art
from minikimi.world.canvas import CELL, Canvas, Rng, between, pick
from minikimi.world.glyphs import printed
from minikimi.world.holdout import cell_held_out
from minikimi.world.screens import describe_icons, normalised

PixelBox = tuple[int, int, int, int]

SIZES = (22, 26)  # longest side of a picture, px
ROWS = 3
HEIGHT = ROWS * CELL  # of a screen, px
TITLE_COLOUR, CROSS_COLOUR = (150, 175, 215), (190, 30, 30)
PRESSED_COLOUR, FIELD_COLOUR, INK = (255, 200, 40), (255, 255, 255), (0, 0, 0)
FONT, FONT_SIZE = "DejaVuSans-Bold", 19


@dataclass
class Screen:
    """A drawn screen: `targets` names what can be clicked, with boxes in px."""

    canvas: Canvas
    targets: dict[str, PixelBox]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.canvas.image.size

    def image(self) -> Image.Image:
        """The screen as it looks now."""
        return self.canvas.image.copy()

    def places(self) -> list[str]:
        """What can be clicked and where: `["cat at 0.25 0.75", "dog at 0.75 0.75"]`."""
        return describe_icons({name: normalised(box, self.size) for name, box in self.targets.items()}).split(", ")

    def describe(self) -> str:
        """`cat at 0.25 0.75, dog at 0.75 0.75`."""
        return ", ".join(self.places())


@dataclass
class Window(Screen):
    """An open window; `app` is the picture in its title, `pressed` the button pressed last, `typed` the field."""

    app: str
    pressed: str = ""
    typed: str = ""

    def image(self) -> Image.Image:
        """The window with its pressed button lit and its text field filled."""
        image = self.canvas.image.copy()
        if self.pressed:
            left, top, right, bottom = self.targets[self.pressed]
            column = left // CELL * CELL
            ImageDraw.Draw(image).rectangle((column, CELL, column + CELL - 1, 2 * CELL - 1), PRESSED_COLOUR)
            drawn = art.picture(self.pressed, max(right - left, bottom - top))
            image.paste(drawn, (left, top), drawn)
        for i, letter in enumerate(self.typed):
            mask = printed(letter, FONT, FONT_SIZE)
            image.paste(INK, (CELL * i + (CELL - mask.width) // 2, HEIGHT - (CELL + mask.height) // 2), mask)
        return image

    def describe(self) -> str:
        """`window of cat, close at 0.88 0.12, star at 0.25 0.50, hat at 0.75 0.50, pressed star, text KEY`."""
        state = [f"pressed {self.pressed or 'nothing'}", f"text {self.typed or 'empty'}"]
        return ", ".join([f"window of {self.app}", super().describe(), *state])


def draw_icons(rng: Rng, names: list[str], columns: int, background: str) -> Screen:
    """The bare desktop: `names` in cells that are drawn, each known to its picture."""
    canvas = Canvas.blank(rng, (columns * CELL, HEIGHT), background)
    cells = canvas.cells(ROWS, columns)
    while True:
        chosen = sorted(rng.permutation(len(cells))[: len(names)].tolist())
        placed = {cell: names[i] for cell, i in zip(chosen, rng.permutation(len(names)).tolist(), strict=True)}
        if not any(cell_held_out(name, *divmod(cell, columns)) for cell, name in placed.items()):
            break
    for cell, name in placed.items():
        canvas.paste(rng, name, between(rng, *SIZES), cells[cell])
    return Screen(canvas, {p["name"]: p["box"] for p in canvas.placements})


def draw_window(rng: Rng, app: str, buttons: list[str], background: str) -> Window:
    """The window of `app`: its picture and a cross in the title (either way round), then `buttons`, then the field."""
    width = len(buttons) * CELL
    canvas = Canvas.blank(rng, (width, HEIGHT), background)
    draw = ImageDraw.Draw(canvas.image)
    draw.rectangle((0, 0, width, CELL - 1), TITLE_COLOUR)
    draw.rectangle((1, HEIGHT - CELL + 1, width - 2, HEIGHT - 2), FIELD_COLOUR, INK)
    ends = [0, width - CELL]
    ways = [way for way in (ends, ends[::-1]) if not cell_held_out(app, 0, way[0] // CELL)]
    left, cross_left = pick(rng, ways)
    canvas.paste(rng, app, between(rng, *SIZES), (left, 0, left + CELL, CELL))
    for i, button in enumerate(buttons):
        canvas.paste(rng, button, between(rng, *SIZES), (i * CELL, CELL, (i + 1) * CELL, 2 * CELL))
    cross = _draw_cross(rng, draw, cross_left)
    return Window(canvas, {"close": cross, **{p["name"]: p["box"] for p in canvas.placements[1:]}}, app)


def _draw_cross(rng: Rng, draw: ImageDraw.ImageDraw, left: int) -> PixelBox:
    """A white cross on red, up to 2 px from the middle of the title's cell that starts at `left`."""
    x, y = left + between(rng, 2, 6), between(rng, 2, 6)
    draw.rectangle((x, y, x + 19, y + 19), CROSS_COLOUR)
    draw.line((x + 4, y + 4, x + 15, y + 15), FIELD_COLOUR, 3)
    draw.line((x + 15, y + 4, x + 4, y + 15), FIELD_COLOUR, 3)
    return x, y, x + 20, y + 20
