"""ScreenSpot: is the point in the box? (lesson 15)

Tools differ in the form and the unit of a click. We ask for fractions of width and height from the top left, and
`official` reads what comes as the program of each benchmark does:

    ScreenSpot and v2   SeeClick 0ef37ac (2025-07-13), `pred_2_point` and `extract_bbox` (arXiv 2401.10935): exactly two
                        numbers or four in the whole output, or `<box>` in thousandths; else wrong
    ScreenSpot-Pro      lmms-eval 0.7.3, `_parse_point` of screenspot_pro (benchmark: arXiv 2504.07981): the first pair
                        in brackets, else `x=..., y=...`, else the first two numbers; above 1 they are pixels. The
                        authors' own reader for Kimi-VL takes `x=..., y=...` alone and asks for nothing else

`strict` is that *and* the law of answers as training has it: one point and not a word more, edges included.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from minikimi.answers import inside, point_in_box
from minikimi.benchmarks.item import Score
from minikimi.errors import UserError

Box = tuple[float, float, float, float]
Found = tuple[tuple[float, float] | None, str]  # the point or None, and the branch of the rule
QWEN_BOX = re.compile(r"<box>\((\d+),(\d+)\),\((\d+),(\d+)\)</box>")
FLOAT = re.compile(r"-?\d+\.?\d*")
LONGEST = 20_000  # characters that are read
TOKEN = r"-?\d+(?:\.\d+)?%?"
OPENING, CLOSING = (re.compile(rf"<\s*{mark}>", re.IGNORECASE) for mark in (r"bbox[^>]*", r"/\s*bbox\s*"))
PAIR = re.compile(rf"[\[(]\s*({TOKEN})\s*(?:,|\s)\s*({TOKEN})\s*[\])]")
X, Y = (re.compile(rf"""['"]?{axis}['"]?\s*[:=]\s*({TOKEN})""", re.IGNORECASE) for axis in "xy")


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


def middle(values: Sequence[float]) -> tuple[float, float]:
    """Of two numbers the point, of four the middle of the box."""
    x, y = values[0::2], values[1::2]
    return sum(x) / len(x), sum(y) / len(y)


def seeclick_point(output: str) -> Found:
    """The point of the only two numbers of an output, or the middle of its only four; or that of its first `<box>`."""
    if "box" in output:
        if not (match := QWEN_BOX.search(output[:LONGEST])):
            return None, "none"
        x, y = middle([float(value) for value in match.groups()])
        return (x / 1000, y / 1000), "box"
    values = [float(value) for value in FLOAT.findall(output[:LONGEST])]
    branch = {2: "two numbers", 4: "four numbers"}.get(len(values))
    return (middle(values), branch) if branch else (None, "none")


def pro_point(output: str) -> Found:
    """The middle of a `<bbox>`, else the first pair in brackets, else `x=..., y=...`, else the first two numbers of an
    output, or the middle of the first four if it speaks of a box.
    """
    output = output[:LONGEST]
    opening = OPENING.search(output)
    closing = CLOSING.search(output, opening.end()) if opening else None
    if opening and closing and len(values := tokens(output[opening.end() : closing.start()])) >= 4:
        return middle(values[:4]), "box"
    if match := PAIR.search(output):
        return middle([fraction(value) for value in match.groups()]), "point"
    x = X.search(output)
    if x and (y := Y.search(output, x.end())):
        return (fraction(x[1]), fraction(y[1])), "x and y"
    values = tokens(output)
    if len(values) >= 4 and any(word in output.lower() for word in ("box", "rect")):
        return middle(values[:4]), "four numbers"
    return (middle(values[:2]), "two numbers") if len(values) >= 2 else (None, "none")


def tokens(text: str) -> list[float]:
    return [fraction(token) for token in re.findall(TOKEN, text)]


def fraction(token: str) -> float:
    """A number as it is written; a percentage as a fraction."""
    return float(token[:-1]) / 100 if token.endswith("%") else float(token)


def score_point(found: Found, output: str, box: Box) -> Score:
    """Official: the point that the rule found lies in the box. Strict: and it stands alone in the output."""
    point, branch = found
    if point is None:
        return Score(0.0, 0.0, None, branch)
    official = inside(point, box)
    strict = official and point_in_box(output, box, alone=True).right
    return Score(float(official), float(strict), f"{point[0]:g}, {point[1]:g}", branch)


def score_screenspot(output: str, box: Box) -> Score:
    """ScreenSpot and v2, by `seeclick_point`."""
    return score_point(seeclick_point(output), output, box)


def score_screenspot_pro(output: str, box: Box, size: tuple[int, int]) -> Score:
    """ScreenSpot-Pro, by `pro_point`; a coordinate above 1 makes both pixels of an image of `size` (width, height)."""
    point, branch = pro_point(output)
    if point and max(point) > 1:
        point = point[0] / size[0], point[1] / size[1]
    return score_point((point, branch), output, box)
