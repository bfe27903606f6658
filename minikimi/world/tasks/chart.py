"""Task `chart`: a bar chart of two to four bars and five kinds of question about it (lesson 09).

Each bar stands in its own column of 28 px, 9 px high per unit, its value printed beneath. The charts of the Kimi-VL
report's OCR and knowledge data (arXiv 2504.07491, section 3.1) at toy scale.
"""

from __future__ import annotations

from PIL import ImageDraw

from minikimi.world import art, glyphs
from minikimi.world.amounts import describe, running_sum
from minikimi.world.canvas import CELL, Canvas, Rng, between, pick
from minikimi.world.holdout import bar_held_out
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.vocabulary import BARS

UNIT = 9  # px of height per unit of value
ROWS = 3  # cells above the printed values, room for nine units
BAR_WIDTHS = (16, 22)  # px

KINDS = ["value", "tallest", "smallest", "difference", "total"]
QUESTIONS = {
    "value": ["What is the value of the {0} bar?", "How high is the {0} bar?", "Which value has the {0} bar?"],
    "tallest": ["Which bar is the tallest?", "What colour is the tallest bar?", "Name the tallest bar."],
    "smallest": ["Which bar is the smallest?", "What colour is the smallest bar?", "Name the smallest bar."],
    "difference": ["How much taller is the {0} bar than the {1} bar?", "By how much is the {0} bar above the {1} bar?"],
    "total": ["What is the total of all bars?", "How much are all bars together?"],
}


def _asked(rng: Rng, kind: str, bars: dict[str, int]) -> list[str]:
    """The colours of the bars that a question of this kind is about, in the order in which it names them."""
    by_value = sorted(bars, key=bars.__getitem__, reverse=True)
    if kind == "value":
        return [pick(rng, list(bars))]
    if kind == "difference":
        low, high = sorted(rng.permutation(len(bars))[:2].tolist())
        return [by_value[low], by_value[high]]
    return {"tallest": by_value[:1], "smallest": by_value[-1:], "total": list(bars)}[kind]


def _choose(rng: Rng, kind: str, held_out: bool) -> tuple[dict[str, int], list[str]]:
    """Bars from left to right, colour -> value, and the colours asked about; both of the split."""
    n = between(rng, 2, 3 if kind == "total" else 4)
    while True:
        colours = [list(BARS)[i] for i in rng.permutation(len(BARS))[:n]]
        bars = dict(zip(colours, (rng.permutation(9)[:n] + 1).tolist(), strict=True))
        asked = _asked(rng, kind, bars)
        if any(bar_held_out(c, bars[c]) for c in (asked if held_out else bars)) == held_out:
            return bars, asked


def _draw_bars(rng: Rng, bars: dict[str, int], held_out: bool) -> Canvas:
    """The chart, bars and below them their values in their colours; `placements` are the boxes of the bars."""
    canvas = Canvas.sheet(rng, ROWS + 1, len(bars), held_out)
    pen, width = ImageDraw.Draw(canvas.image), between(rng, *BAR_WIDTHS)
    font_name, font_size = pick(rng, art.FONTS), between(rng, *glyphs.FONT_SIZES)
    cells = canvas.cells(ROWS + 1, len(bars))[-len(bars) :]
    for (colour, value), cell in zip(bars.items(), cells, strict=True):
        left, floor = cell[0] + (CELL - width) // 2, cell[1]
        box = (left, floor - UNIT * value, left + width, floor)
        pen.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=BARS[colour])
        canvas.placements.append({"name": colour, "box": box})
        glyphs.stamp(rng, canvas, glyphs.printed(str(value), font_name, font_size), cell, BARS[colour])
    return canvas


def _answer(kind: str, bars: dict[str, int], asked: list[str]) -> tuple[str, str, int]:
    """Answer, worked solution and difficulty."""
    values = [bars[colour] for colour in asked]
    named = describe({colour: bars[colour] for colour in asked})
    if kind == "value":
        return str(values[0]), f"{named}. {values[0]}", 1
    if kind in ("tallest", "smallest"):
        extreme = "largest" if kind == "tallest" else "least"
        listed = ", ".join(f"{value} {colour}" for colour, value in bars.items())
        return asked[0], f"{listed}. The {extreme} is {values[0]} {asked[0]}. {asked[0]}", 2
    if kind == "difference":
        answer, steps = values[0] - values[1], [f"{values[0]} - {values[1]} = {values[0] - values[1]}"]
    else:
        answer, steps = sum(values), running_sum(values)
    return str(answer), ". ".join([named, *steps, str(answer)]), 3 if len(asked) == 2 else 4


def draw(rng: Rng, held_out: bool) -> Scene:
    """A bar chart; a value, the tallest or smallest bar, a difference or the total is asked."""
    kind = pick(rng, KINDS)
    bars, asked = _choose(rng, kind, held_out)
    canvas = _draw_bars(rng, bars, held_out)
    answer, solution, difficulty = _answer(kind, bars, asked)
    question = pick(rng, QUESTIONS[kind]).format(*asked)
    others = [] if held_out else [colour for colour in bars if [colour] != asked]
    return Scene(
        images=[canvas.image],
        question=question,
        answer=answer,
        caption=describe(bars),
        solution=solution,
        more=[(pick(rng, QUESTIONS["value"]).format(colour), str(bars[colour])) for colour in others],
        facts=canvas.facts(f"chart.{kind}", bars=bars, asked=asked, difficulty=difficulty),
    )


TASK = Task(name="chart", draw=draw, benchmark="maths", thinks=True)
