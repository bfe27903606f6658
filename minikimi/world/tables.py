"""Documents with rows: `table` (one glyph a cell) and `receipt` (pictures and their prices) (lesson 09).

The document part of the Kimi-VL report's OCR data (arXiv 2504.07491, section 3.1) at toy scale. One glyph or picture
to an image token; what is asked has to be found by row and column, or added up.
"""

from __future__ import annotations

from PIL import Image, ImageDraw

from minikimi.world import art, glyphs
from minikimi.world.canvas import Canvas, Rng, Scene, between, draw_resolution, pick
from minikimi.world.charts import describe, running_sum
from minikimi.world.holdout import TABLE_GLYPHS, TOP_PRICE, glyph_held_out, price_held_out
from minikimi.world.vocabulary import GROUPS, INKS

COLUMNS = "ABC"
FREE = 27  # most free paper to the right and below, px
LINE = (150, 150, 150)  # colour of the lines of a table
PICTURE_SIZES = (22, 26)  # longest side of a picture on a receipt, px
FOR_SALE = [name for group in ("food", "clothes", "tool") for name in GROUPS[group]]

TABLE_QUESTIONS = [
    "What is in row {0}, column {1}?",
    "What is in column {1}, row {0}?",
    "Read row {0}, column {1}.",
]
COST_QUESTIONS = ["What does the {} cost?", "How much is the {}?", "What is the price of the {}?"]
TOTAL_QUESTIONS = ["What is the total?", "How much is it in all?", "What do all things cost together?"]


def _sheet(rng: Rng, rows: int, columns: int, held_out: bool) -> Canvas:
    """A blank sheet with `rows` x `columns` cells of 28 px and some free paper."""
    width, height = glyphs.CELL * columns, glyphs.CELL * rows
    return Canvas.blank(rng, draw_resolution(rng, (width, width + FREE), (height, height + FREE), held_out))


def _glyph(rng: Rng, place: tuple[int, int], held_out: bool) -> str:
    """A letter or, as often, a digit that may stand at this (row, column), or one that training never sees there."""
    kind = pick(rng, TABLE_GLYPHS)
    return pick(rng, [glyph for glyph in kind if glyph_held_out(glyph, *place) == held_out])


def _fill(rng: Rng, canvas: Canvas, grid: list[str], held_out: bool) -> dict[str, object]:
    """Write `grid`, a string for each row, header included; returns what is known about the writing. Digits of the
    body are handwritten, everything else is printed."""
    rows, columns = len(grid), len(grid[0])
    pen = ImageDraw.Draw(canvas.image)
    for row in range(1, rows):
        pen.line([(0, glyphs.CELL * row), (glyphs.CELL * columns - 1, glyphs.CELL * row)], LINE)
    for column in range(1, columns):
        pen.line([(glyphs.CELL * column, 0), (glyphs.CELL * column, glyphs.CELL * rows - 1)], LINE)
    font_name, size, ink, worn = (
        pick(rng, art.FONTS),
        between(rng, *glyphs.FONT_SIZES),
        pick(rng, INKS),
        glyphs.wear(rng),
    )
    indices: list[int] = []
    for i, cell in enumerate(canvas.cells(rows, columns, glyphs.CELL)):
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
    return [(pick(rng, TABLE_QUESTIONS).format(r, COLUMNS[c - 1]), body[r - 1][c - 1]) for r, c in chosen]


def table(rng: Rng, held_out: bool) -> Scene:
    """Two or three rows and columns of glyphs under a header; the glyph of one cell is asked for."""
    rows, columns = between(rng, 2, 3), between(rng, 2, 3)
    row, column = between(rng, 1, rows), between(rng, 1, columns)
    body = [[_glyph(rng, (r, c), False) for c in range(1, columns + 1)] for r in range(1, rows + 1)]
    body[row - 1][column - 1] = answer = _glyph(rng, (row, column), held_out)
    canvas = _sheet(rng, rows + 1, columns + 1, held_out)
    grid = [" " + COLUMNS[:columns], *(str(r) + "".join(line) for r, line in enumerate(body, 1))]
    facts = canvas.facts("table", grid=grid, row=row, column=column, **_fill(rng, canvas, grid, held_out))
    question = pick(rng, TABLE_QUESTIONS).format(row, COLUMNS[column - 1])
    caption = ". ".join(f"row {r}: {', '.join(line)}" for r, line in enumerate(body, 1))
    return Scene(
        [canvas.image], question, answer, caption, facts, more=[] if held_out else _others(rng, body, row, column)
    )


def _lines(rng: Rng, held_out: bool) -> dict[str, int]:
    """Two or three things and their prices, all trained or, in the held-out split, the first one new."""
    lines: dict[str, int] = {}
    for i in range(between(rng, 2, 3)):
        low, high = pick(rng, [(1, 9), (1, 9), (10, TOP_PRICE)])
        price, new = between(rng, low, high), held_out and i == 0
        lines[pick(rng, [n for n in FOR_SALE if n not in lines and price_held_out(n, price) == new])] = price
    return lines


def _print_receipt(rng: Rng, lines: dict[str, int], held_out: bool) -> Canvas:
    """A row for each thing: its picture, then the price in two columns of digits, flush right."""
    canvas = _sheet(rng, len(lines), 3, held_out)
    font_name, size, ink = pick(rng, art.FONTS), between(rng, *glyphs.FONT_SIZES), pick(rng, INKS)
    cells = canvas.cells(len(lines), 3, glyphs.CELL)
    for row, (name, price) in enumerate(lines.items()):
        canvas.paste(rng, name, between(rng, *PICTURE_SIZES), cells[3 * row])
        for cell, digit in zip(cells[3 * row + 1 : 3 * row + 3], f"{price:2}", strict=True):
            if digit != " ":
                glyphs.stamp(rng, canvas, glyphs.printed(digit, font_name, size), cell, ink)
    return canvas


def receipt(rng: Rng, held_out: bool) -> Scene:
    """Two or three things and their prices; the price of one or the total is asked."""
    chosen = _lines(rng, held_out)
    name = next(iter(chosen))
    order = [list(chosen)[i] for i in rng.permutation(len(chosen))]
    lines = {each: chosen[each] for each in order}
    canvas = _print_receipt(rng, lines, held_out)
    if rng.random() < 0.5:
        question, answer = pick(rng, COST_QUESTIONS).format(name), lines[name]
        kind, solution, difficulty = "receipt.cost", f"{name} {answer}. {answer}", 1
    else:
        question, answer = pick(rng, TOTAL_QUESTIONS), sum(lines.values())
        steps = running_sum(list(lines.values()))
        kind, solution, difficulty = "receipt.total", ". ".join([describe(lines), *steps, str(answer)]), len(lines)
        difficulty += answer > 20
    facts = canvas.facts(kind, lines=lines, asked=name, difficulty=difficulty)
    others = [] if held_out else [other for other in lines if other != name]
    more = [(pick(rng, COST_QUESTIONS).format(other), str(lines[other])) for other in others]
    return Scene([canvas.image], question, str(answer), describe(lines), facts, solution, more)
