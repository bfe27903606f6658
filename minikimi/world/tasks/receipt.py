"""Task `receipt`: pictures of things and their prices; what does one cost, or all of them? (lesson 09)

The document part of the Kimi-VL report's OCR data (arXiv 2504.07491, section 3.1) at toy scale.
"""

from __future__ import annotations

from minikimi.world import art, glyphs
from minikimi.world.amounts import describe, running_sum
from minikimi.world.canvas import Canvas, Rng, between, pick
from minikimi.world.holdout import TOP_PRICE, price_held_out
from minikimi.world.scene import Scene
from minikimi.world.task import Task
from minikimi.world.vocabulary import GROUPS, INKS

SIZES = (22, 26)  # longest side of a picture, px
FOR_SALE = [name for group in ("food", "clothes", "tool") for name in GROUPS[group]]
COST_QUESTIONS = ["What does the {} cost?", "How much is the {}?", "What is the price of the {}?"]
TOTAL_QUESTIONS = ["What is the total?", "How much is it in all?", "What do all things cost together?"]


def _choose(rng: Rng, held_out: bool) -> dict[str, int]:
    """Two or three things and their prices, all trained or, in the held-out split, the first one new."""
    prices: dict[str, int] = {}
    for i in range(between(rng, 2, 3)):
        low, high = pick(rng, [(1, 9), (1, 9), (10, TOP_PRICE)])
        price, new = between(rng, low, high), held_out and i == 0
        prices[pick(rng, [n for n in FOR_SALE if n not in prices and price_held_out(n, price) == new])] = price
    return prices


def _print(rng: Rng, lines: dict[str, int], held_out: bool) -> Canvas:
    """A row for each thing: its picture, then the price in two columns of digits, flush right."""
    canvas = Canvas.sheet(rng, len(lines), 3, held_out)
    font_name, size, ink = pick(rng, art.FONTS), between(rng, *glyphs.FONT_SIZES), pick(rng, INKS)
    cells = canvas.cells(len(lines), 3)
    for row, (name, price) in enumerate(lines.items()):
        canvas.paste(rng, name, between(rng, *SIZES), cells[3 * row])
        for cell, digit in zip(cells[3 * row + 1 : 3 * row + 3], f"{price:2}", strict=True):
            if digit != " ":
                glyphs.stamp(rng, canvas, glyphs.printed(digit, font_name, size), cell, ink)
    return canvas


def draw(rng: Rng, held_out: bool) -> Scene:
    """Two or three things and their prices; the price of one or the total is asked."""
    prices = _choose(rng, held_out)
    name = next(iter(prices))
    order = [list(prices)[i] for i in rng.permutation(len(prices))]
    lines = {each: prices[each] for each in order}
    canvas = _print(rng, lines, held_out)
    if rng.random() < 0.5:
        question, answer = pick(rng, COST_QUESTIONS).format(name), lines[name]
        kind, solution, difficulty = "receipt.cost", f"{name} {answer}. {answer}", 1
    else:
        question, answer = pick(rng, TOTAL_QUESTIONS), sum(lines.values())
        steps = running_sum(list(lines.values()))
        kind, solution = "receipt.total", ". ".join([describe(lines), *steps, str(answer)])
        difficulty = len(lines) + (answer > 20)
    others = [] if held_out else [other for other in lines if other != name]
    return Scene(
        images=[canvas.image],
        question=question,
        answer=str(answer),
        caption=describe(lines),
        solution=solution,
        more=[(pick(rng, COST_QUESTIONS).format(other), str(lines[other])) for other in others],
        facts=canvas.facts(kind, lines=lines, asked=name, difficulty=difficulty),
    )


TASK = Task(name="receipt", draw=draw, benchmark="documents", thinks=True)
