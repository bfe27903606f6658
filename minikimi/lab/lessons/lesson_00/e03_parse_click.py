"""Exercise 0.3: From words to a point, strictly (difficulty 2, 4 minutes)

Hint 1: CLICK.fullmatch(normalise(text)) gives a match or None. What do you do with None, and with 1.20?

Hint 2: x, y = float(match[1]), float(match[2]); raise ValueError if there is no match or one exceeds 1; return x *
width, y * height.

Why: An output is untrusted input. A parser that guesses turns a badly worded answer into a real click somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import torch

from minikimi.answers import normalise
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()

CLICK = re.compile(r"click\((\d\.\d\d), (\d\.\d\d)\)")


def parse_click(text: str, width: int, height: int) -> tuple[float, float]:
    """The point in px that "click(x, y)" names on a picture of width x height; ValueError for anything else."""
    match = CLICK.fullmatch(normalise(text))
    if match is None:
        raise ValueError(f"not a click: {text!r}")
    x, y = float(match[1]), float(match[2])
    if x > 1 or y > 1:
        raise ValueError(f"outside the picture: {text!r}")
    return x * width, y * height


def run_click(answer: Callable, text: str, width: int, height: int) -> Any:
    try:
        return answer(text, width, height)
    except ValueError:
        return "refused"


def click_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Never a square, so that swapped sides show; then what a program must not turn into a click.
    good = [(f"click(0.2{seed}, 0.75)", 84, 139), (" click(1.00, 0.00). ", 56, 83)]
    bad = ["I would click(0.25, 0.75) there", "click(0.25)", "click(1.20, 0.50)", "click(0.50, 7.00)", "right", ""]
    return good + [(text, 84, 139) for text in bad]


def refuses_what_is_no_click(run: Callable, text: str, width: int, height: int) -> None:
    refused, expected = run(text, width, height) == "refused", run_click(parse_click, text, width, height) == "refused"
    if expected and not refused:
        raise Misfit(f"{text!r} is no click inside the picture: raise a ValueError, never guess where to click")
    if refused and not expected:
        raise Misfit(f"{text!r} is a click, but it is refused")


def point_on_this_picture(run: Callable, text: str, width: int, height: int) -> None:
    true, mine = (run_click(parse_click, text, width, height), run(text, width, height))
    if "refused" not in (true, mine) and max(abs(a - b) for a, b in zip(true, mine, strict=True)) > 1e-3:
        raise Misfit(f"{text!r} on a picture {width} wide and {height} high: you say {mine}")


def _click(
    pattern: Callable = CLICK.fullmatch, outside: bool = False, point: Callable = lambda x, y, w, h: (x * w, y * h)
):
    def answer(text: str, width: int, height: int) -> tuple[float, float]:
        match = pattern(normalise(text))
        if match is None:
            raise ValueError(f"not a click: {text!r}")
        x, y = float(match[1]), float(match[2])
        if (x > 1 or y > 1) and not outside:
            raise ValueError(f"outside the picture: {text!r}")
        return point(x, y, width, height)

    return answer


@wrong(
    "the match is not examined",
    "fullmatch returns None where the text does not fit: test for that and raise a ValueError.",
)
def match_not_examined(text: str, width: int, height: int) -> tuple[float, float]:
    match: Any = CLICK.fullmatch(normalise(text))
    return float(match[1]) * width, float(match[2]) * height


wrong.add(
    "width and height swapped",
    "x runs along the width, y along the height: x * width, y * height.",
    _click(point=lambda x, y, w, h: (x * h, y * w)),
)
wrong.add(
    "a click found inside other words",
    "search finds a click anywhere in a sentence. fullmatch accepts only a text that is nothing but a click.",
    _click(pattern=CLICK.search),
)
wrong.add(
    "points outside accepted",
    "The pattern also fits 1.20 and 7.00. Fractions of a picture end at 1: refuse what is larger.",
    _click(outside=True),
)
wrong.add(
    "fractions instead of pixels",
    "The answer is a fraction of each side; multiply by width and height to get pixels.",
    _click(point=lambda x, y, w, h: (x, y)),
)

properties = (refuses_what_is_no_click, point_on_this_picture)
EXERCISE = Exercise(
    **words(__doc__), solution=parse_click, cases=click_cases, run=run_click, properties=properties, wrong=wrong
)
