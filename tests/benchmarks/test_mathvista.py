"""MathVista: tables by hand, and the published comparison (53d5258) transcribed, behind our extraction."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from minikimi.benchmarks.distance import edit_distance
from minikimi.benchmarks.mathvista import extract, score_mathvista


@pytest.mark.parametrize(
    ("output", "official", "strict"),
    [
        ("(B)", 1, 1),
        ("B", 1, 1),
        ("11", 1, 1),
        ("The answer is (B) 11", 1, 0),
        ("probably 1l", 0, 0),  # nearest text by letters is "1", five letters are too many
        ("1l1", 1, 0),  # nearest text: one letter off "11"
        ("(A)", 0, 0),
        ("I think it is 11 of E", 1, 0),  # no choice has the letters I and E: the nearest text
        ("(f) is (b)", 1, 0),
        ("(b), see (f)", 1, 0),
        ("答案是B", 1, 0),
        ("It is not (B)", 1, 0),  # denied, but the published comparison takes any letter in brackets
    ],
)
def test_mathvista_choices(output: str, official: float, strict: float) -> None:
    score = score_mathvista(output, "11", ["1", "11", "121"], "text")
    assert (score.official, score.strict) == (official, strict)


@pytest.mark.parametrize(
    ("output", "answer", "kind", "precision", "official", "strict"),
    [
        ("7", "7", "integer", None, 1, 1),
        ("7.9", "7", "integer", None, 1, 1),  # cut, not rounded
        ("There are 3 and 4, so 7", "7", "integer", None, 1, 0),
        ("The answer is 7, since 4 rows hold 3 each", "7", "integer", None, 1, 0),
        ("−7", "-7", "integer", None, 1, 1),  # a real minus sign
        ("\uff17", "7", "integer", None, 1, 1),
        ("1,2,3", "123", "integer", None, 0, 0),  # no number with separators
        ("1/2", "0.5", "float", 1, 1, 1),
        (r"\boxed{7}", "7", "integer", None, 1, 1),
        ("7%", "7", "integer", None, 1, 1),
        ("seven", "7", "integer", None, 0, 0),
        ("1.45", "1.4", "float", 1.0, 1, 1),  # round half to even in binary: 1.45 is a little less
        ("1.2", "1.20", "float", 2, 0, 0),  # compared as texts: the published rule
        ("about 0.61 m", "0.6", "float", 1, 1, 0),
        ("[1, 2]", "[1, 2]", "list", None, 1, 1),
        ("The answer is [1, 2].", "[1, 2]", "list", None, 1, 1),
        ("1,200", "1200", "integer", None, 1, 1),
        ("", "7", "integer", None, 0, 0),
    ],
)
def test_mathvista_free_answers(
    output: str, answer: str, kind: str, precision: Any, official: float, strict: float
) -> None:
    score = score_mathvista(output, answer, None, kind, precision)
    assert (score.official, score.strict) == (official, strict)


def test_an_empty_output_is_compared_as_it_stands() -> None:
    """Source: `extract_answer` returns "", whose nearest choice is the shortest, the first of them."""
    for answer, official in (("cat", 1), ("dog", 0), ("mouse", 0)):
        score = score_mathvista("", answer, ["mouse", "cat", "dog"], "text")
        assert (score.official, score.strict, score.parsed, score.branch) == (official, 0, None, "none")
    assert score_mathvista(" \n", "7", None, "integer").official == 0


def published(extraction: str, answer: str, choices: list[str] | None, kind: str, precision: int) -> bool:
    """`normalize_extracted_answer` and `safe_equal`."""
    if choices:
        letter = re.findall(r"\(([a-zA-Z])\)", extraction)
        extraction = letter[0].upper() if letter else extraction
        if extraction in ("A", "B", "C"):
            return choices["ABC".index(extraction)] == answer
        distances = [edit_distance(extraction, choice) for choice in choices]
        return choices[distances.index(min(distances))] == answer
    if kind == "list":
        return extraction == answer
    try:
        value = float(extraction)
    except ValueError:
        return False
    return answer == (str(int(value)) if kind == "integer" else str(round(value, precision)))


PIECES = ["A", "(b)", "(C)", "(f)", "I ", " ", "red", "blue", "rad", ".", ",", "12", "1,200", "7.46", "-4",
          "answer is ", "The answer is ", "\n", "x", "[1, 2]", "1/2", "−"]  # fmt: skip
OUTPUTS = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


@settings(max_examples=600, deadline=None)
@given(OUTPUTS, st.sampled_from(["choice", "integer", "float", "list"]), st.integers(0, 2), st.data())
def test_the_comparison_is_its_transcription(output: str, kind: str, precision: int, data: st.DataObject) -> None:
    assume(len(output) < 40 and not re.search(r"\d{12}", output))
    choices = ["red", "blue", "green"] if kind == "choice" else None
    answers = {"choice": ["red", "blue", "green"], "integer": ["12", "1200", "7", "-4"], "list": ["[1, 2]", "x"],
               "float": ["12.0", "7.5", "7.46", "-4.0", "1200.0", "0.5"]}  # fmt: skip
    answer = data.draw(st.sampled_from(answers[kind]))
    type_ = "text" if choices else kind
    extraction = extract(output, choices, type_)[0]
    score = score_mathvista(output, answer, choices, type_, precision)
    assert bool(score.official) == published(extraction, answer, choices, kind, precision)
    assert score.strict <= score.official
