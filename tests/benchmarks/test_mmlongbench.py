"""MMLongBench-Doc: tables by hand, and plain transcriptions of its program (d73f0dc), on made-up outputs."""

from __future__ import annotations

import ast
import re
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.benchmarks.mmlongbench import EXACT, as_list, f1, score_mmlongbench


@pytest.mark.parametrize(
    ("output", "answer", "kind", "official"),
    [
        ("12", "12", "Int", 1),
        ("12.9", "12", "Int", 1),  # cut, as published
        ("13", "12", "Int", 0),
        ("twelve", "12", "Int", 0),
        ("1,200", "1200", "Int", 0),  # the published program reads no commas
        ("3 p.m.", "3 p.m.", "Str", 1),  # the stop belongs to it
        ("3 p.m", "3 p.m.", "Str", 0),
        ("0.505", "50%", "Float", 1),  # one percent off, as a fraction
        ("50.6%", "0.5", "Float", 0),
        ("49.6", "49.5", "Float", 1),
        ("Fox", "fox", "Str", 1),
        ("foxx", "fox", "Str", 0.75),
        ("page 12", "page 1", "Str", 0),  # pages exactly
        ("2020-03-05", "2020-03-06", "Str", 0),  # dates exactly
        ("https://a.b/c", "https://a.b/d", "Str", 0),
        ("a@b.org", "a@b.com", "Str", 0),
        ("['b', 'a']", "['a', 'b']", "List", 1),  # the order does not count
        ("['a']", "['a', 'b']", "List", 0),
        ("[2, 1]", "['1', '2']", "List", 1),
        ("['fox', 'dogx']", "['dog', 'fox']", "List", 0.75),  # the worst pair
        ("Not answerable", "Not answerable", "None", 1),
        ("__import__('os').getcwd()", "fox", "List", 0),
        ("", "fox", "Str", 0),
    ],
)
def test_mmlongbench_by_format(output: str, answer: str, kind: str, official: float) -> None:
    assert score_mmlongbench(output, answer, kind).official == pytest.approx(official)


def test_lists_are_read_and_never_run() -> None:
    assert as_list("[1, 'a']") == [1, "a"]
    for text in ("[__import__('os').system('true')]", "[" * 50 + "]" * 50, "[" + "1," * 5000 + "]", "[1", "no"):
        assert as_list(text) == [text]


@pytest.mark.parametrize(
    ("output", "answer", "kind", "official", "strict"),
    [
        ("Fox.", "fox", "Str", 0.75, 0.75),  # the law forgives a closing stop, the program does not: the lesser
        ("foxx", "fox", "Str", 0.75, 0),
        ("7%", "7", "Int", 0, 0),  # the program reads no percent sign
        ("7%", "7%", "Float", 1, 1),
        ("0.505", "50%", "Float", 1, 0),
        ("\uff13", "3", "Int", 1, 1),
        ("['b', 'a']", "['a', 'b']", "List", 1, 1),
        ("Not answerable.", "Not answerable", "None", 14 / 15, 14 / 15),
        ("", "fox", "Str", 0, 0),
    ],
)
def test_strict_is_the_program_and_equality(
    output: str, answer: str, kind: str, official: float, strict: float
) -> None:
    score = score_mmlongbench(output, answer, kind)
    assert (score.official, score.strict) == (pytest.approx(official), pytest.approx(strict))


def test_f1_counts_only_the_answerable() -> None:
    """Three answerable questions, two of them right, one left open; one unanswerable, answered: recall 2/3, and
    precision 2/3, since three answers were given.
    """
    wanted = ["a", "b", "c", "Not answerable"]
    assert f1([1, 1, 0, 0], wanted, ["a", "b", "Not answerable", "x"]) == pytest.approx(2 / 3)
    assert f1([0, 0, 0, 1], wanted, ["Not answerable"] * 4) == 0


@pytest.mark.parametrize("refusal", ["Not answerable.", "not answerable", " NOT  answerable "])
def test_f1_takes_a_refusal_in_other_words_for_an_answer_officially_and_not_strictly(refusal: str) -> None:
    """Source: `eval_acc_and_f1` compares with "Not answerable" letter by letter."""
    scores, wanted, given_ = [1.0, 0.9], ["a", "Not answerable"], ["a", refusal]
    assert f1(scores, wanted, given_) == pytest.approx(2 / 3) and f1(scores, wanted, given_, strict=True) == 1


def slow_distance(a: str, b: str) -> int:
    """Levenshtein's whole table."""
    table = [[i + j for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            swap = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, swap)
    return table[-1][-1]


def cleaned(value: object) -> str:
    """MMLongBench-Doc's `get_clean_string`."""
    text = str(value).lower().strip()
    text = re.sub(r"\s*\([^)]*\)", "", text).strip()
    text = re.sub(r"^['\"]|['\"]$", "", text).strip()
    text = text.strip().lstrip("$").strip()
    return text.strip().rstrip("%").strip()


def compared_exactly(text: str) -> bool:
    """MMLongBench-Doc's `is_exact_match`."""
    return (
        "https://" in text
        or text.endswith(".py")
        or text.endswith("ipynb")
        or text.startswith("page")
        or re.fullmatch(r"\b\d+(-\d+|\s\d+)?\b", text) is not None
        or "a.m." in text
        or "p.m." in text
        or re.fullmatch(r"\b\d{4}[-\s]\d{2}[-\s]\d{2}\b", text) is not None
        or re.fullmatch(r"\b\d{4}[-\s]\d{2}\b", text) is not None
        or re.fullmatch(r"[a-zA-Z0-9._%+-]+@[a-zA-Z0-9.-]+\.[a-zA-Z]{2,}", text) is not None
    )


def isfloat(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def plain_similarity(a: str, b: str) -> float:
    value = 1.0 - (slow_distance(a, b) / max(len(a), len(b)) if a or b else 0.0)
    return value if value > 0.5 else 0.0


def plain_floats(wanted: float, said: float) -> bool:
    """MMLongBench-Doc's `is_float_equal` with percentages and closeness."""
    for scaled in (wanted / 100, wanted, wanted * 100):
        digits = [len(str(x).split(".")[-1]) if "." in str(x) else 3 for x in (said, scaled)]
        places = max(min(digits), 2)
        if isclose(scaled, said, rel_tol=0.01) or round(said, places) == round(scaled, places):
            return True
    return False


def plain_mmlongbench(gold: str, said: str, kind: str) -> float:
    """MMLongBench-Doc's `eval_score`, with a parser of literals in the place of `eval`."""
    if kind == "Int":
        return float(isfloat(said) and int(gold) == int(float(said)))
    if kind == "Float":
        return float(isfloat(cleaned(said)) and plain_floats(float(cleaned(gold)), float(cleaned(said))))
    if kind in ("Str", "None"):
        a, b = cleaned(gold), cleaned(said)
        return float(a == b) if compared_exactly(a) else plain_similarity(a, b)
    lists = [ast.literal_eval(text) if text.startswith("[") else [text] for text in (gold, said)]
    wanted, given_ = (sorted(cleaned(x) for x in values) for values in lists)
    if len(wanted) != len(given_):
        return 0.0
    if isfloat(wanted[0]) or compared_exactly(wanted[0]):
        return float("-".join(wanted) == "-".join(given_))
    return min(plain_similarity(a, b) for a, b in zip(wanted, given_, strict=True))


NUMBERLIKE = st.floats(0.01, 5000).map(lambda x: f"{x:.2f}") | st.integers(0, 300).map(str)
PIECES = ["fox", "fax", " ", "'", "(it)", "$", "%", "12", "1,200", "-", "page ", "3 p.m.", "p.m", ".", "2020-01", ".py",
          "https://x.y", "me@x.org", "Not answerable"]  # fmt: skip
SAID = st.lists(st.sampled_from(PIECES), max_size=4).map("".join).map(str.strip).filter(bool)
LISTS = st.lists(SAID, min_size=1, max_size=3).map(str) | SAID


@settings(max_examples=600, deadline=None)
@given(SAID, SAID, st.booleans())
def test_mmlongbench_text(wanted: str, said: str, same: bool) -> None:
    said = wanted if same else said
    for kind in ("Str", "None"):
        assert score_mmlongbench(said, wanted, kind).official == pytest.approx(plain_mmlongbench(wanted, said, kind))


@settings(max_examples=600, deadline=None)
@given(LISTS, LISTS, st.booleans())
def test_mmlongbench_list(wanted: str, said: str, same: bool) -> None:
    said = wanted if same else said
    assert score_mmlongbench(said, wanted, "List").official == pytest.approx(plain_mmlongbench(wanted, said, "List"))


@settings(max_examples=400, deadline=None)
@given(NUMBERLIKE, NUMBERLIKE | SAID, st.sampled_from(["", "%", " %"]))
def test_mmlongbench_numbers(wanted: str, said: str, unit: str) -> None:
    said += unit
    assert score_mmlongbench(said, wanted + unit, "Float").official == plain_mmlongbench(wanted + unit, said, "Float")
    whole = wanted.split(".")[0]
    assert score_mmlongbench(said, whole, "Int").official == plain_mmlongbench(whole, said, "Int")


@pytest.mark.parametrize(
    ("text", "exact"),
    [("see https://x.y", True), ("run.py", True), ("a.ipynb", True), ("page 3", True), ("12-13", True), ("12 13", True),
     ("3 p.m.", True), ("2020-01-02", True), ("2020 01", True), ("me@x.org", True), ("front page", False),
     ("12-13-14", False), ("python", False), ("20-01-2", False), ("me at x.org", False)],
)  # fmt: skip
def test_what_is_compared_letter_by_letter(text: str, exact: bool) -> None:
    assert (EXACT.fullmatch(text) is not None) is exact is compared_exactly(text)


@settings(max_examples=300, deadline=None)
@given(SAID, SAID, st.sampled_from(["Int", "Float", "Str", "List", "None"]), st.booleans())
def test_strict_never_exceeds_official(wanted: str, said: str, kind: str, same: bool) -> None:
    score = score_mmlongbench(wanted if same else said, wanted, kind)
    assert score.strict <= score.official
