"""Differential fuzz: our parsers against plain transcriptions of the published rules, written the slow and literal
way, on outputs made of the pieces that parsers trip over.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.evaluation.benchmarks.choices import mmmu_letter, option_lines
from minikimi.evaluation.benchmarks.distance import edit_distance
from minikimi.evaluation.benchmarks.mmlongbench import EXACT, compare
from minikimi.evaluation.benchmarks.open_answers import NUMBERS, score_open

PIECES = ["A", "B", "(A)", "(C)", "D.", " ", "  ", "is ", "so ", "answer ", "=", "\n", ". ", ".", ",", "'", "12",
          "1,200", "3.50", "-4", "1e5", "red", "blue plum", "green pear tree", "?", "final ", "x",
          "result ", ":"]  # fmt: skip
OUTPUTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
OPTIONS = option_lines(["red", "blue plum", "12", "green pear tree"])[1]


def plain_letter(output: str) -> str | None:
    """MMMU's choice rule, step by step."""
    for mark in [",", ".", "!", "?", ";", ":", "'"]:
        output = output.strip(mark)
    output = " " + output + " "
    places: list[tuple[int, str]] = []
    for form in ("({})", " {} ", "{}."):
        for letter in OPTIONS:
            if form.format(letter) in output:
                places.append((output.rindex(form.format(letter)), letter))
        if places:
            return max(places)[1]
    if len(output.split()) > 5:
        for letter, text in OPTIONS.items():
            if text.lower() in output.lower():
                places.append((output.lower().rindex(text.lower()), letter))
    return max(places)[1] if places else None


@settings(max_examples=400, deadline=None)
@given(OUTPUTS)
def test_mmmu_letter(output: str) -> None:
    assert mmmu_letter(output, OPTIONS)[0] == plain_letter(output)


def plain_value(text: str) -> list:
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        return [" " + text.lower(), text.lower() + " "] if len(text) == 1 else [text.lower()]


def plain_open(output: str, gold: str) -> bool:
    """MMMU's open rule, step by step."""
    output = output.strip().strip(".").lower()
    keys, lines = [], output.split("\n")
    words = ["could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result "]
    for i, line in enumerate(lines):
        if i == len(lines) - 1:
            words.append("=")
        best = None
        for word in words:
            if word in line:
                tail = line.split(word)[-1].strip()
                if not best or len(tail) < len(best):
                    best = tail
        if best and best.strip() not in [":", ",", ".", "!", "?", ";", "'"]:
            keys.append(best)
    keys = keys or [output]
    found = list(keys)
    for key in keys:
        for pattern in NUMBERS:
            found += re.findall(pattern, key)
    predictions = [value for text in found for value in plain_value(text)]
    golds = plain_value(gold)
    for prediction in predictions:
        for wanted in golds:
            if isinstance(prediction, str) and isinstance(wanted, str) and wanted in prediction:
                return True
            if not isinstance(prediction, str) and prediction == wanted:
                return True
    return False


@settings(max_examples=400, deadline=None)
@given(OUTPUTS, st.sampled_from(["12", "x", "red", "3.5", "1,200", "blue plum", "-4"]))
def test_mmmu_open(output: str, gold: str) -> None:
    assert bool(score_open(output, [gold]).official) == plain_open(output, gold)


@settings(max_examples=200, deadline=None)
@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_edit_distance(a: str, b: str) -> None:
    def slow(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(slow(i - 1, j) + 1, slow(i, j - 1) + 1, slow(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    if len(a) + len(b) < 11:
        assert edit_distance(a, b) == slow(len(a), len(b))
    assert edit_distance(a, b) == edit_distance(b, a) <= max(len(a), len(b))


NUMBERLIKE = st.floats(0.01, 5000).map(lambda x: f"{x:.2f}") | st.integers(0, 300).map(str)


@settings(max_examples=300, deadline=None)
@given(NUMBERLIKE, NUMBERLIKE, st.sampled_from(["", "%", " %"]))
def test_mmlongbench_float(wanted: str, given_: str, unit: str) -> None:
    """One percent, or rounding, at three scales."""
    a, b = float(wanted), float(given_)

    def equal(scaled: float) -> bool:
        digits = [len(str(x).split(".")[1]) if "." in str(x) else 3 for x in (b, scaled)]
        near = abs(scaled - b) <= 0.01 * max(abs(scaled), abs(b))
        return near or round(b, max(min(digits), 2)) == round(scaled, max(min(digits), 2))

    assert compare(wanted + unit, given_ + unit, "Float") == float(any(map(equal, (a / 100, a, a * 100))))


@pytest.mark.parametrize(
    ("text", "exact"),
    [("see https://x.y", True), ("run.py", True), ("a.ipynb", True), ("page 3", True), ("12-13", True), ("12 13", True),
     ("3 p.m.", True), ("2020-01-02", True), ("2020 01", True), ("me@x.org", True), ("front page", False),
     ("12-13-14", False), ("python", False), ("20-01-2", False), ("me at x.org", False)],
)  # fmt: skip
def test_what_is_compared_letter_by_letter(text: str, exact: bool) -> None:
    assert (EXACT.fullmatch(text) is not None) is exact
