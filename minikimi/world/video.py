"""Clips of three or four frames: `motion` (which way does it go?) and `order` (what came first, what next?)
(lesson 09).

A clip is a list of images with `Frame 1:` before the first and so on, as the Kimi-VL report's video data (arXiv
2504.07491, section 3.1) reaches the model. All frames of a clip have one background and one size.
"""

from __future__ import annotations

from minikimi.world.canvas import Canvas, Rng, Scene, between, draw_background, pick
from minikimi.world.holdout import DIRECTIONS, direction_held_out
from minikimi.world.sequence import draw_names, numbered_scene
from minikimi.world.vocabulary import NAMES

GRID = 3  # cells of a frame of `motion`, each way
CELL, SIZES = 28, (22, 26)  # px: one image token

MOTION_QUESTIONS = ["In which direction does the {} move?", "Which way does the {} go?", "Where does the {} move?"]
FIRST_QUESTIONS = ["What came first, the {} or the {}?", "Which is seen first, the {} or the {}?"]
AFTER_QUESTIONS = ["What comes after the {}?", "Which thing follows the {}?"]


def _path(rng: Rng, direction: str) -> list[tuple[int, int]]:
    """(row, column) in each of three frames: straight across the grid in a row or column that is drawn."""
    steps = list(range(GRID)) if direction in ("right", "down") else list(reversed(range(GRID)))
    lane = between(rng, 0, GRID - 1)
    return [(lane, step) if direction in ("left", "right") else (step, lane) for step in steps]


def motion(rng: Rng, held_out: bool) -> Scene:
    """One picture moves by one cell a frame; the answer is left, right, up or down, equally often."""
    direction = pick(rng, list(DIRECTIONS))
    name = pick(rng, [n for n in NAMES if direction_held_out(n, direction) == held_out])
    background, size = draw_background(rng, [name]), between(rng, *SIZES)
    frames = [Canvas.blank(rng, (GRID * CELL, GRID * CELL), background) for _ in range(GRID)]
    path = _path(rng, direction)
    for frame, (row, column) in zip(frames, path, strict=True):
        frame.paste(rng, name, size, frame.cells(GRID, GRID, CELL)[GRID * row + column])
    question = pick(rng, MOTION_QUESTIONS).format(name)
    caption = f"{name} moves {direction}"
    places = [f"row {row + 1}, column {column + 1}" for row, column in path]
    told = [f"{name} in {place}" for place in places]
    solution = f"{'; '.join(places)}. {direction}"
    turns = [(question, direction)]
    return numbered_scene("Frame", frames, "motion", turns, caption, told, solution, name=name, direction=direction)


def order(rng: Rng, held_out: bool) -> Scene:
    """Three or four frames, at most one of them empty; what came first of two things, or what comes after one."""
    frame_count = between(rng, 3, 4)
    numbers = sorted(rng.permutation(frame_count)[: between(rng, 3, frame_count)].tolist())
    numbers = [n + 1 for n in numbers]
    kind = pick(rng, ["order.first", "order.after"])
    at = between(rng, 0, len(numbers) - 2) + (kind == "order.after")  # of the answer: a later or an earlier one exists
    names = draw_names(rng, numbers, numbers[at] if held_out else None)
    answer = names[numbers[at]]
    if kind == "order.first":
        pair = [answer, names[numbers[between(rng, at + 1, len(numbers) - 1)]]]
        question = pick(rng, FIRST_QUESTIONS).format(*(pair[i] for i in rng.permutation(2)))
    else:
        question = pick(rng, AFTER_QUESTIONS).format(names[numbers[at - 1]])
    background = draw_background(rng, *([name] for name in names.values()))
    frames = [Canvas.blank(rng, (CELL, CELL), background) for _ in range(frame_count)]
    for number, name in names.items():
        frames[number - 1].paste(rng, name, between(rng, *SIZES), (0, 0, CELL, CELL))
    caption = ", ".join(f"frame {i}: {names.get(i, 'nothing')}" for i in range(1, frame_count + 1))
    told = [names.get(i, "nothing") for i in range(1, frame_count + 1)]
    seen = caption
    if kind == "order.after":
        seen = f"{' then '.join(names.values())}. {names[numbers[at - 1]]} then {answer}"
    solution, turns = f"{seen}. {answer}", [(question, answer)]
    return numbered_scene("Frame", frames, kind, turns, caption, told, solution, target=answer, number=numbers[at])
