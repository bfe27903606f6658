"""ScreenSpot: is the point in the box? (lesson 15)

Tools differ in the unit of a click: 0 to 1, 0 to 1000, pixels. Guessing it from the size of the numbers is ambiguous,
so we fix Kimi-VL's: fractions of width and height from the top left, edges included; anything above 1 is wrong.
Source: SeeClick (arXiv 2401.10935), ScreenSpot-Pro (arXiv 2504.07981).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from minikimi.benchmarks.item import Score
from minikimi.errors import UserError

Box = tuple[float, float, float, float]
FRACTION = r"\s*(-?(?:\d{1,6}(?:\.\d{1,12})?|\.\d{1,12}))\s*"
BRACKETED = re.compile(rf"[\[(]{FRACTION},{FRACTION}(?:,{FRACTION},{FRACTION})?[\])]")
LOOSE = re.compile(r"-?\d{0,6}\.\d{1,12}|-?\d{1,6}")
STRICT = re.compile(rf"(?:click|pyautogui\.click)?[\[(]{FRACTION},{FRACTION}[\])]")


def to_fractions(box: Sequence[float], size: tuple[int, int], layout: str, where: str) -> Box:
    """A box as (left, top, right, bottom) in fractions of an image of `size` (width, height).

    layout: `xyxy`, two corners, or `xywh`, a corner and the size; in pixels if any number is above 1. Raises
    `UserError` if the box then is empty or leaves the image: the layout is wrong.
    """
    left, top, third, fourth = (float(value) for value in box)
    right, bottom = (left + third, top + fourth) if layout == "xywh" else (third, fourth)
    width, height = size if max(map(abs, box)) > 1 else (1, 1)
    fractions = (left / width, top / height, right / width, bottom / height)
    if not (0 <= fractions[0] < fractions[2] <= 1.01 and 0 <= fractions[1] < fractions[3] <= 1.01):
        raise UserError(f"{where}: box {list(box)} is no {layout} box in an image of {size}; correct `box` in the YAML")
    return fractions


def predicted_point(output: str) -> tuple[tuple[float, float] | None, str]:
    """(point, branch): the first bracketed pair, the middle of the first bracketed four, or the first two numbers."""
    if match := BRACKETED.search(output):
        values = [float(value) for value in match.groups() if value is not None]
        if len(values) == 4:
            return ((values[0] + values[2]) / 2, (values[1] + values[3]) / 2), "box"
        return (values[0], values[1]), "point"
    values = [float(value) for value in LOOSE.findall(output)[:2]]
    return ((values[0], values[1]), "two numbers") if len(values) == 2 else (None, "none")


def inside(point: tuple[float, float], box: Box) -> bool:
    """Whether the point lies in the box, edges included."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def score_screenspot(output: str, box: Box) -> Score:
    """Official: the first point or middle of a box. Strict: one bracketed point and nothing else."""
    point, branch = predicted_point(output)
    if point is None:
        return Score(0.0, 0.0, None, branch)
    official = float(inside(point, box))
    alone = STRICT.fullmatch(output.strip()) is not None
    return Score(official, official if alone else 0.0, f"{point[0]:g}, {point[1]:g}", branch)
