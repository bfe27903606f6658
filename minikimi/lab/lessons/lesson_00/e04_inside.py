"""Exercise 0.4: Point in box (difficulty 1, 2 minutes)

Hint 1: Two conditions, one for each axis, joined by `and`.

Hint 2: left <= x <= right and top <= y <= bottom, with x, y = point.

Why: Any point in the box counts: a click on the ear opens the cat as well as one on the nose. Edges belong to the box.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from minikimi.answers import inside
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def box_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A box far from the diagonal: axes that are mixed up, or sizes taken for edges, give another answer.
    box = (40.0 + seed, 5.0, 60.0 + seed, 21.0)
    points = [(50.0, 10.0), (10.0, 10.0), (50.0, 40.0), (40.0 + seed, 21.0), (75.0, 24.0), (10.0, 50.0)]
    return [(point, box) for point in points]


def point_by_point(run: Callable, point: tuple[float, float], box: tuple[float, float, float, float]) -> None:
    if (result := run(point, box)) != inside(point, box):
        raise Misfit(f"point {point} and box {box}, left, top, right, bottom: you say {result}")


@wrong("edges left out", "A point on the edge is inside: <= on both sides.")
def edges_open(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = box
    return left < point[0] < right and top < point[1] < bottom


@wrong("y before x", "Tensors index rows first, but a point is (x, y) and a box starts with left, a matter of x.")
def rows_first(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    return inside((point[1], point[0]), box)


@wrong("sizes taken for edges", "The last two numbers are the right and the bottom edge, not a width and a height.")
def sizes_for_edges(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    left, top, width, height = box
    return inside(point, (left, top, left + width, top + height))


@wrong("one axis is enough", "`or` accepts a whole row and a whole column of the picture. Both axes must fit: `and`.")
def one_axis_is_enough(point: tuple[float, float], box: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = box
    return left <= point[0] <= right or top <= point[1] <= bottom


EXERCISE = Exercise(**words(__doc__), solution=inside, cases=box_cases, properties=(point_by_point,), wrong=wrong)
