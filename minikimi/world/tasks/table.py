"""Task `table`: the glyph in one cell of a small table (lesson 09).

The document part of the Kimi-VL report's OCR data (arXiv 2504.07491, section 3.1) at toy scale. One glyph to an image
token; what is asked has to be found by row and column.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from minikimi.world import art, glyphs
from minikimi.world.canvas import CELL, Canvas, Rng, between, pick
from minikimi.world.holdout import TABLE_GLYPHS, glyph_held_out
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.vocabulary import INKS

COLUMNS = "ABC"
LINE = (150, 150, 150)  # colour of the lines
QUESTIONS = ["What is in row {0}, column {1}?", "What is in column {1}, row {0}?", "Read row {0}, column {1}."]


def _glyph(rng: Rng, place: tuple[int, int], held_out: bool) -> str:
    """A letter or, as often, a digit that may stand at this (row, column), or one that training never sees there."""
    glyphs_of_a_kind = pick(rng, TABLE_GLYPHS)
    return pick(rng, [glyph for glyph in glyphs_of_a_kind if glyph_held_out(glyph, *place) == held_out])


def _rule(canvas: Canvas, rows: int, columns: int) -> None:
    """Draw the lines between the cells."""
    pen = ImageDraw.Draw(canvas.image)
    for row in range(1, rows):
        pen.line([(0, CELL * row), (CELL * columns - 1, CELL * row)], LINE)
    for column in range(1, columns):
        pen.line([(CELL * column, 0), (CELL * column, CELL * rows - 1)], LINE)


def _fill(rng: Rng, canvas: Canvas, grid: list[str], held_out: bool) -> dict[str, object]:
    """Write `grid`, a string for each row, header included; returns what is known about the writing. Digits of the
    body are handwritten, everything else is printed."""
    rows, columns = len(grid), len(grid[0])
    _rule(canvas, rows, columns)
    font_name, size = pick(rng, art.FONTS), between(rng, *glyphs.FONT_SIZES)
    ink, worn = pick(rng, INKS), glyphs.wear(rng)
    indices: list[int] = []
    for i, cell in enumerate(canvas.cells(rows, columns)):
        glyph = grid[i // columns][i % columns]
        mask = Image.new("L", (1, 1)) if glyph == " " else glyphs.printed(glyph, font_name, size)
        if glyph.isdigit() and i % columns:
            (mask,), (index,) = glyphs.handwritten(rng, glyph, held_out)
            indices.append(index)
        glyphs.stamp(rng, canvas, glyphs.turned(mask, worn["rotation"]), cell, ink)
    glyphs.speckle(rng, canvas, worn["noise"])
    return {"digit_indices": indices, "font": font_name, "size": size, **worn}


def _others(rng: Rng, body: list[list[str]], row: int, column: int) -> list[tuple[str, str]]:
    """Questions for up to three other cells, with their answers."""
    cells = [(r, c) for r in range(1, len(body) + 1) for c in range(1, len(body[0]) + 1) if (r, c) != (row, column)]
    chosen = [cells[i] for i in rng.permutation(len(cells))[:3]]
    return [(pick(rng, QUESTIONS).format(r, COLUMNS[c - 1]), body[r - 1][c - 1]) for r, c in chosen]


def draw(rng: Rng, held_out: bool) -> Scene:
    """Two or three rows and columns of glyphs under a header; the glyph of one cell is asked for."""
    rows, columns = between(rng, 2, 3), between(rng, 2, 3)
    row, column = between(rng, 1, rows), between(rng, 1, columns)
    body = [[_glyph(rng, (r, c), False) for c in range(1, columns + 1)] for r in range(1, rows + 1)]
    body[row - 1][column - 1] = answer = _glyph(rng, (row, column), held_out)
    canvas = Canvas.sheet(rng, rows + 1, columns + 1, held_out)
    grid = [" " + COLUMNS[:columns], *(str(r) + "".join(line) for r, line in enumerate(body, 1))]
    written = _fill(rng, canvas, grid, held_out)
    return Scene(
        images=[canvas.image],
        question=pick(rng, QUESTIONS).format(row, COLUMNS[column - 1]),
        answer=answer,
        caption=". ".join(f"row {r}: {', '.join(line)}" for r, line in enumerate(body, 1)),
        more=[] if held_out else _others(rng, body, row, column),
        facts=canvas.facts("table", grid=grid, row=row, column=column, **written),
    )


TASK = Task(name="table", draw=draw, benchmark="documents")
