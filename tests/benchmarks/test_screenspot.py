"""ScreenSpot: tables by hand with the value of each program, and plain transcriptions of both.

On 30,000 generated outputs the rule of Pro also gave what lmms-eval 0.7.3 gives, that of the others what SeeClick's two
functions give.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.benchmarks.screenspot import (
    pro_point,
    score_screenspot,
    score_screenspot_pro,
    seeclick_point,
    to_fractions,
)
from minikimi.errors import UserError

BOX = (0.4, 0.2, 0.6, 0.4)
SIZE = (1920, 1080)


@pytest.mark.parametrize(
    ("output", "seeclick", "pro", "alone"),
    [
        ("[0.5, 0.3]", 1, 1, True),
        ("[0.4, 0.4]", 1, 1, True),  # the corners belong to the box
        ("[0.3, 0.5]", 0, 0, True),  # x comes first
        ("[0.50000000000000004, 0.3]", 1, 1, True),
        ("click(0.5, 0.3)", 1, 1, True),
        ("click(x=0.5, y=0.3)", 1, 1, True),
        ("pyautogui.click(x=0.5, y=0.3)", 1, 1, True),
        ("Click cell A1: pyautogui.click(x=0.5, y=0.3)", 0, 1, False),  # three numbers
        ("1. [0.5, 0.3]", 0, 1, False),
        ("(0.4, 0.2), (0.6, 0.4)", 1, 1, False),  # SeeClick's middle, the other's corner: both inside
        ("(0.3, 0.1), (0.7, 0.5)", 1, 0, False),
        ("[0.4, 0.2, 0.6, 0.4]", 1, 1, False),
        ("[0.3, 0.1, 0.7, 0.5]", 1, 0, False),
        ("bbox: 0.3, 0.1, 0.7, 0.5", 0, 1, False),  # SeeClick wants its `<box>`
        ("<bbox>0.3, 0.1, 0.7, 0.5</bbox>", 0, 1, False),
        ("<box>(450,250),(550,350)</box>", 1, 0, False),  # thousandths, or pixels
        ("[960, 324]", 0, 1, False),  # pixels
        ("(50%, 30%)", 0, 1, True),
        ("[0.5, 0.3] or [0.9, 0.9]", 0, 1, False),
        ("[.5, .3]", 0, 0, True),  # both read 5 and 3
        ("x=0.5 y=0.3", 1, 1, True),
        ("[0.5]", 0, 0, False),
        ("nothing", 0, 0, False),
    ],
)
def test_the_two_programs_differ(output: str, seeclick: float, pro: float, alone: bool) -> None:
    """Strict: right officially, and the point alone in the output."""
    for score, official in (
        (score_screenspot(output, BOX), seeclick),
        (score_screenspot_pro(output, BOX, SIZE), pro),
    ):
        assert (score.official, score.strict) == (official, float(bool(official) and alone))


def test_boxes_in_all_layouts_and_units_and_the_wrong_one_is_seen() -> None:
    wanted = (0.5, 0.25, 0.75, 0.5)
    for box, layout in (
        ([0.5, 0.25, 0.75, 0.5], "xyxy"),
        ([0.5, 0.25, 0.25, 0.25], "xywh"),
        ([100, 25, 150, 50], "xyxy"),
        ([100, 25, 50, 25], "xywh"),
    ):
        assert to_fractions(box, (200, 100), layout, "row 1") == pytest.approx(wanted)
    for box, layout in (([100, 25, 50, 25], "xyxy"), ([100, 60, 150, 90], "xywh")):
        with pytest.raises(UserError, match="row 1: box"):
            to_fractions(box, (200, 100), layout, "row 1")


def plain_seeclick(output: str) -> tuple[float, float] | None:
    """`pred_2_point`, `extract_bbox` and what stands around them; None for wrong form."""
    if "box" in output:
        pairs = re.findall(r"<box>\((\d+),(\d+)\),\((\d+),(\d+)\)</box>", output)
        if not pairs:
            return None
        a, b, c, d = map(int, pairs[0])
        return (a + c) / 2 / 1000, (b + d) / 2 / 1000
    found = [float(x) for x in re.findall(r"-?\d+\.?\d*", output)]
    if len(found) == 2:
        return found[0], found[1]
    return ((found[0] + found[2]) / 2, (found[1] + found[3]) / 2) if len(found) == 4 else None


def plain_pro(output: str) -> tuple[float, float] | None:
    """`_parse_point`, with the patterns of one piece as they are published."""

    def value(text: str) -> float:
        return float(text[:-1]) / 100.0 if text.endswith("%") else float(text)

    number = r"-?\d+(?:\.\d+)?%?"
    tag = re.search(r"<\s*bbox[^>]*>(.*?)<\s*/\s*bbox\s*>", output, re.IGNORECASE | re.DOTALL)
    if tag and len(found := [value(x) for x in re.findall(number, tag[1])]) >= 4:
        return (found[0] + found[2]) / 2, (found[1] + found[3]) / 2
    pair = re.search(rf"[\[\(]\s*({number})\s*(?:,|\s)\s*({number})\s*[\]\)]", output)
    either = re.search(
        rf"['\"]?x['\"]?\s*[:=]\s*({number}).*?['\"]?y['\"]?\s*[:=]\s*({number})", output, re.IGNORECASE | re.DOTALL
    )
    if match := pair or either:
        return value(match[1]), value(match[2])
    found = [value(x) for x in re.findall(number, output)]
    if len(found) >= 4 and re.search("box|rect", output.lower()):
        return (found[0] + found[2]) / 2, (found[1] + found[3]) / 2
    return (found[0], found[1]) if len(found) >= 2 else None


PIECES = ["[", "]", "(", ")", ",", ", ", " ", "0.25", ".5", "1", "-", "0.75", "click", "x=", "Y: ", "y=", ".", "50%",
          "\n", "[0.1, 0.2", "(.3,.4,.5,.6)", "<bbox>", "</bbox>", "rect", "box", "'x':", "960",
          "<box>(45,25),(55,35)</box>"]  # fmt: skip


@settings(max_examples=800, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_each_rule_is_its_transcription_and_strict_never_exceeds_it(output: str) -> None:
    assert seeclick_point(output)[0] == plain_seeclick(output)
    assert pro_point(output)[0] == plain_pro(output)
    for score in (score_screenspot(output, BOX), score_screenspot_pro(output, BOX, SIZE)):
        assert score.strict <= score.official


def test_long_outputs_are_read_in_time_that_grows_with_their_length() -> None:
    """A pattern that looks for the end again from every beginning would take minutes."""
    for piece in ("x=1 ", "<bbox", "<bbox>", "[1 ", "9" * 50, "box ", "(1, 2"):
        for score in (score_screenspot(piece * 50_000, BOX), score_screenspot_pro(piece * 50_000, BOX, SIZE)):
            assert score.official == 0
