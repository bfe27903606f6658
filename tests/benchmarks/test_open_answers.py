"""MMMU's open questions: a table by hand, and a plain transcription of the program (MMMU bb0b95a)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.benchmarks.open_answers import candidates, score_open


@pytest.mark.parametrize(
    ("output", "references", "official", "strict"),
    [
        ("The result is 12.", ["12"], 1, 1),
        ("so x = 3.14159", ["3.14"], 1, 1),  # rounded to two places
        ("The area is 1,200 square metres", ["1200"], 1, 0),  # a number within the tail is enough, officially
        ("It is a big dog", ["dog"], 1, 0),  # contained
        ("It is a hotdog", ["dog"], 1, 0),  # contained even within a word: the official leniency
        ("It is grey", ["g"], 0, 0),  # but a single letter is padded
        ("dog", ["cat", "dog"], 1, 1),
        (r"\boxed{12} is not far from 5", ["12"], 0, 0),  # the law reads 12, the program does not: strict is both
        ("The answer is \uff11\uff12", ["12"], 1, 1),  # the program's numbers may be full-width, and the law's
        ("The answer is −12", ["12"], 1, 0),  # officially the minus sign is lost
        ("I have 12 of them, so the answer is 5", ["12"], 0, 0),
        ("The answer is 5 or 6", ["7"], 0, 0),
        ("First it is 3.\nThen the final answer is 8", ["8"], 1, 1),
        ("", ["8"], 0, 0),
    ],
)
def test_mmmu_open_questions(output: str, references: list[str], official: float, strict: float) -> None:
    score = score_open(output, references)
    assert (score.official, score.strict) == (official, strict)


def test_open_candidates_stay_a_list() -> None:
    """Joined into one string and walked letter by letter, as a published harness did, "cat" would match "c a t"."""
    assert "42.0 dogs" not in candidates("so 42 dogs") and 42.0 in candidates("so 42 dogs")
    assert score_open("the colours are c, a, t", ["cat"]).official == 0


PIECES = ["A", " ", "  ", "is ", "so ", "answer ", "=", "\n", ". ", ".", ",", "'", "12", "1,200", "3.50", "-4", "1e5",
          "red", "blue plum", "?", "final ", "x", "result ", ":", "[", "−", "\\boxed{", "}"]  # fmt: skip
OUTPUTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


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
        found += re.findall(r"-?\b\d{1,3}(?:,\d{3})+\b", key)
        found += re.findall(r"-?\d+(?:\.\d+)?[eE][+-]?\d+", key)
        found += re.findall(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])", key)
    predictions = [value for text in found for value in plain_value(text)]
    golds = plain_value(gold)
    for prediction in predictions:
        for wanted in golds:
            if isinstance(prediction, str) and isinstance(wanted, str) and wanted in prediction:
                return True
            if not isinstance(prediction, str) and prediction == wanted:
                return True
    return False


@settings(max_examples=500, deadline=None)
@given(OUTPUTS, st.sampled_from(["12", "x", "red", "3.5", "1,200", "blue plum", "-4"]))
def test_the_rule_is_its_transcription_and_strict_never_exceeds_it(output: str, gold: str) -> None:
    score = score_open(output, [gold])
    assert bool(score.official) == plain_open(output, gold) and score.strict <= score.official
