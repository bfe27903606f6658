"""Task `motion`: a clip in which one picture moves; which way does it go? (lesson 09)

A clip is a list of images with `Frame 1:` before the first and so on, as the Kimi-VL report's video data (arXiv
2504.07491, section 3.1) reaches the model. All frames of a clip have one background and one size.
"""

from __future__ import annotations

from minikimi.world.canvas import CELL, Canvas, Rng, between, draw_background, pick
from minikimi.world.holdout import DIRECTIONS, direction_held_out
from minikimi.world.scene import Scene, sheet_facts
from minikimi.world.task import Task
from minikimi.world.vocabulary import NAMES

GRID = 3  # cells of a frame, each way; also the number of frames
SIZES = (22, 26)  # longest side of the picture, px
QUESTIONS = ["In which direction does the {} move?", "Which way does the {} go?", "Where does the {} move?"]


def _path(rng: Rng, direction: str) -> list[tuple[int, int]]:
    """(row, column) in each of three frames: straight across the grid in a row or column that is drawn."""
    steps = list(range(GRID)) if direction in ("right", "down") else list(reversed(range(GRID)))
    lane = between(rng, 0, GRID - 1)
    return [(lane, step) if direction in ("left", "right") else (step, lane) for step in steps]


def draw(rng: Rng, held_out: bool) -> Scene:
    """One picture moves by one cell a frame; the answer is left, right, up or down, equally often."""
    direction = pick(rng, list(DIRECTIONS))
    name = pick(rng, [n for n in NAMES if direction_held_out(n, direction) == held_out])
    background, size = draw_background(rng, [name]), between(rng, *SIZES)
    frames = [Canvas.blank(rng, (GRID * CELL, GRID * CELL), background) for _ in range(GRID)]
    path = _path(rng, direction)
    for frame, (row, column) in zip(frames, path, strict=True):
        frame.paste(rng, name, size, frame.cells(GRID, GRID)[GRID * row + column])
    places = [f"row {row + 1}, column {column + 1}" for row, column in path]
    return Scene(
        images=[frame.image for frame in frames],
        label="Frame",
        question=pick(rng, QUESTIONS).format(name),
        answer=direction,
        caption=f"{name} moves {direction}",
        solution=f"{'; '.join(places)}. {direction}",
        facts=sheet_facts("motion", frames, name=name, direction=direction),
        told=[f"{name} in {place}" for place in places],
    )


TASK = Task(name="motion", draw=draw, benchmark="video", thinks=True)
