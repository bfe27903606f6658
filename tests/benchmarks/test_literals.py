"""Lists written as text are read within limits, and never run."""

from __future__ import annotations

import ast

import pytest

from minikimi.benchmarks.literals import depth, literal_list


def test_texts_and_numbers_come_back() -> None:
    options = ["f(g(h(x)))", "it's [0, 1)", "(((", 12, -0.5]
    assert literal_list(str(options), 1000) == options and literal_list("('a', 'b')", 100) == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    ["[" * 9000, "[[[1]]]", "-" * 19_000 + "1", "[" + "{(" * 9000, "1" + "+1" * 9000, "['a'", "no", "{'a': 1}", "12",
     "", "__import__('os').getcwd()", "[__import__('os').getcwd()]", "[" + "1" * 5000 + "]"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    assert literal_list(text, 20_000) is None


def test_depth_is_counted_outside_of_quotes_and_before_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert depth("[(')))((', \"]\")]") == 2 and depth("") == 0
    monkeypatch.setattr(ast, "literal_eval", lambda text: pytest.fail("parsed"))
    assert literal_list("[[[1]]]", 100) is None and literal_list("[" + " " * 100 + "]", 100) is None
