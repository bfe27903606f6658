"""Edit distance and ANLS: by hand, and against the whole table and a transcription of `anls` (lmms-eval 0.7.3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.benchmarks.distance import MAX_LENGTH, anls, anls_of_paper, edit_distance, relative_distance, score_anls


def test_edit_distance_by_hand() -> None:
    assert [edit_distance(*p) for p in (("", ""), ("abc", ""), ("kitten", "sitting"), ("flaw", "lawn"))] == [0, 3, 3, 2]


@pytest.mark.parametrize(
    ("output", "references", "official", "paper", "strict"),
    [
        ("Hello  World", ["hello world"], 1, 1, 1),
        ("hxllo", ["hello", "other"], 0.8, 0.8, 0),  # the best reference
        ("12", ["10"], 0.5, 0, 0),  # exactly one half: the three programs and the paper differ
        ("n", ["no"], 0.5, 0, 0),
        ("abc", ["abd"], 2 / 3, 2 / 3, 0),
        ("axyz", ["abcd"], 0, 0, 0),
        ("2014\n", ["2015"], 0.8, 0.75, 0),  # the length counts the line break, the distance does not
        ("Stra", ["Straße"], 5 / 7, 2 / 3, 0),  # in capitals the longer one has seven letters
        ("Paris.", ["Paris"], 5 / 6, 5 / 6, 0),
        ("", ["10"], 0, 0, 0),
    ],
)
def test_anls_by_hand(output: str, references: list[str], official: float, paper: float, strict: float) -> None:
    score = score_anls(output, references)
    assert (score.official, score.paper, score.strict) == (pytest.approx(official), pytest.approx(paper), strict)
    assert score.parsed == (output.strip() or None)


def test_texts_that_are_too_long_to_compare_are_unlike() -> None:
    long = "a" * (MAX_LENGTH + 1)
    assert relative_distance(long, long) == 0 and relative_distance(long, long + "b") == 1
    assert anls("x" * 10**6, ["abc"]) == 0


def slow_distance(a: str, b: str) -> int:
    """Levenshtein's whole table."""
    table = [[i + j for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            swap = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, swap)
    return table[-1][-1]


@settings(max_examples=300, deadline=None)
@given(st.text("abc", max_size=9), st.text("abc", max_size=9))
def test_edit_distance(a: str, b: str) -> None:
    assert edit_distance(a, b) == slow_distance(a, b)


WORDS = st.lists(st.sampled_from(["Paris", "pari", "s", ".", " ", "\n", "12", "%", "the ", "A", "ß"]), max_size=6).map(
    "".join
)


@settings(max_examples=400, deadline=None)
@given(WORDS, st.lists(WORDS.filter(str.strip), min_size=1, max_size=3))
def test_the_rule_is_its_transcription_and_strict_never_exceeds_it(output: str, golds: list[str]) -> None:
    values = []
    for gold in golds:
        a, b = " ".join(gold.strip().lower().split()), " ".join(output.strip().lower().split())
        values.append(slow_distance(a, b) / max(len(gold.upper()), len(output.upper())))
    best = 1 - min(values)
    score = score_anls(output, golds)
    assert score.official == (0 if best < 0.5 else best) and score.strict <= score.official
    assert anls_of_paper(output, golds) <= 1
