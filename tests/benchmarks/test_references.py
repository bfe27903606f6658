"""References are refused by file, row, field and remedy, before anything is asked; real ones pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmark_rows import made

from minikimi.benchmarks.adapters import SCHEMAS
from minikimi.benchmarks.harness import check_references
from minikimi.benchmarks.references import written_list
from minikimi.errors import UserError

GOOD: dict[str, dict[str, Any]] = {
    "mmmu": {"options": "['a', 'b', 'c']", "answer": "B"},
    "mmbench": {"index": 7, "A": "cat", "B": "dog", "C": "", "D": None, "answer": "B"},
    "mathvista": {"answer": "1.5", "answer_type": "float", "precision": 1.0, "choices": None},
    "infovqa": {"answers": ["a", "b"]},
    "screenspot": {"bbox": [0.1, 0.2, 0.3, 0.4]},
    "mmlongbench": {"answer": "12", "answer_format": "Int"},
    "egoschema": {"option": [f"{letter}. x" for letter in "ABCDE"], "answer": "4"},
}


@pytest.mark.parametrize("name", GOOD)
def test_good_references_pass(name: str) -> None:
    SCHEMAS[name].reference(GOOD[name], "row 1")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("mmmu", {"answer": "?"}, r"answer is '\?', expected one of A, B, C; .* split whose answers are published"),
        ("mmmu", {"answer": "a"}, "answer is 'a'"),
        ("mmmu", {"answer": "K"}, "answer is 'K'"),
        ("mmmu", {"answer": ""}, "answer is ''"),
        ("mmmu", {"answer": "AB"}, "answer is 'AB'"),
        ("mmmu", {"answer": None}, "no answer"),
        ("mmmu", {"options": str(["x"] * 27)}, "options is 'a list of 27', expected 1 to 26 options"),
        ("mmmu", {"options": "__import__('os')"}, "expected a list in options"),
        ("mmmu", {"options": "[]", "answer": " "}, "answer is .*expected at least one text"),
        ("mmmu", {"options": "[]", "answer": "[]"}, "answer is .*expected at least one text"),
        ("mmbench", {"answer": ""}, "answer is '', expected one of A, B;"),
        ("mmbench", {"answer": "AB"}, "answer is 'AB'"),
        ("mmbench", {"answer": "C"}, "answer is 'C'"),
        ("mmbench", {"index": "1.5"}, "index is '1.5', expected a whole number"),
        ("mmbench", {"index": "x"}, "index is 'x'"),
        ("mmbench", {"index": float("nan")}, "index is 'nan'"),
        ("mmbench", {"B": "", "C": "cow"}, "A to D is .*without a gap"),
        ("mmbench", {"A": "", "B": ""}, "A to D is"),
        ("mathvista", {"answer": "about 2"}, "answer is 'about 2', expected a number"),
        ("mathvista", {"answer": ""}, "answer is"),
        ("mathvista", {"precision": None}, "precision is 'None', expected 0 to 15 decimal places"),
        ("mathvista", {"answer_type": "bool"}, "answer_type is 'bool', expected one of text, integer, float, list"),
        ("mathvista", {"choices": ["1", "2"]}, "answer is '1.5', expected one of 1, 2"),
        ("infovqa", {"answers": []}, r"answers is '\[\]', expected at least one text, none of them blank"),
        ("infovqa", {"answers": ["a", " "]}, "answers is"),
        ("infovqa", {"answers": "a"}, "expected a list in answers"),
        ("screenspot", {"bbox": [0.1, 0.2, 0.3]}, r"bbox is '\[0.1, 0.2, 0.3\]', expected four numbers"),
        ("screenspot", {"bbox": "0.1 0.2 0.3 0.4"}, "bbox is"),
        ("screenspot", {"bbox": [0.1, 0.2, 0.3, float("nan")]}, "bbox is"),
        ("screenspot", {"bbox": [0.1, 0.2, 0.3, "0.4"]}, "bbox is"),
        ("screenspot", {"bbox": [0, 0, True, True]}, "bbox is"),
        ("mmlongbench", {"answer": "twelve"}, "answer is 'twelve', expected a number"),
        (
            "mmlongbench",
            {"answer_format": "int"},
            "answer_format is 'int', expected one of Int, Float, Str, List, None",
        ),
        ("mmlongbench", {"answer": "[]", "answer_format": "List"}, "expected a list that is not empty"),
        ("mmlongbench", {"answer": " "}, "answer is"),
        ("egoschema", {"answer": "5"}, "answer is '5', expected one of 0, 1, 2, 3, 4"),
        ("egoschema", {"answer": "٣"}, "answer is"),
        ("egoschema", {"answer": "-1"}, "answer is"),
        ("egoschema", {"option": ["A. x"]}, "option is 'a list of 1', expected five options"),
    ],
)
def test_bad_references_are_refused_in_one_line(name: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=f"^row 1: .*{words}") as caught:
        SCHEMAS[name].reference({**GOOD[name], **change}, "row 1")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300 and "; " in str(caught.value)


@pytest.mark.parametrize("index", [7, "7", "7.0", 7.0])
def test_an_index_may_have_become_a_float(index: object) -> None:
    assert SCHEMAS["mmbench"].reference({**GOOD["mmbench"], "index": index}, "row 1")[0] == 7


def test_a_bad_value_is_shown_on_one_short_line() -> None:
    with pytest.raises(UserError) as caught:
        SCHEMAS["mmmu"].reference({**GOOD["mmmu"], "answer": "x\n\x1b[31m" * 500}, "row 1")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300


def test_options_are_a_list_or_one_written_as_text() -> None:
    options = ["f(g(h(x)))", "it's [0, 1)", "((("]
    assert written_list(str(options), "row 1", "options") == written_list(options, "row 1", "options") == options


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_rows_of_every_schema_pass(name: str, tmp_path: Path) -> None:
    check_references(name, made(tmp_path, name), None)
