"""Reading lesson sources: cells, what is blanked, definitions as comparable text, and bad sources."""

import ast
from pathlib import Path

import pytest

from minikimi.errors import UserError
from minikimi.lab.authoring.source import cell_text, definitions, plain_tree, read_source

HEADER = """# ---
# title: a
# goal: b.
# minutes: 30
# prerequisites: []
# difficulty: 1
# builds: nothing
# ---
"""
CODE = """# %% [markdown]
# Two words, `code` and $formulas$ aside.
#
# @exercise 2.1
# %%
# toy
def f(x):
    # BEGIN SOLUTION 2.1
    return x + 1
    # END SOLUTION
# %% [hidden]
draw(f)
"""


def test_cells_and_exercises_are_found(tmp_path: Path) -> None:
    path = tmp_path / "02_x.py"
    path.write_text(HEADER + CODE)
    source = read_source(path)
    assert (source.number, source.name, source.exercises()) == ("02", "02_x", ["2.1"])
    assert [cell.kind for cell in source.cells] == ["markdown", "code", "hidden"]
    text, code, _ = source.cells
    assert "Exercise 2.1: Frequencies" in cell_text(text, False) and "Why so" not in cell_text(text, False)
    assert "Why so" in cell_text(text, True)
    assert "x + 1" not in cell_text(code, False) and 'raise NotImplementedError("exercise 2.1' in cell_text(code, False)
    assert cell_text(code, True) == "# toy\ndef f(x):\n    return x + 1"
    assert [toy for _, toy in definitions(source).values()] == [True]


def test_plain_trees_differ_only_by_what_code_does() -> None:
    def tree(text: str) -> str:
        return plain_tree(ast.parse(text).body[0])

    same = tree('def f(x: int) -> int:\n    """Words."""\n    return x  # more')
    assert same == tree("def f(x):\n    return x") != tree("def f(x):\n    return -x")
    assert tree("def f(x):\n    y: int = x\n    return y") == tree("def f(x):\n    y = x\n    return y")
    assert tree("class A:\n    x: int") != tree("class A:\n    y: int")
    assert tree("def f(x): return x") != tree("@cache\ndef f(x): return x")


def test_bad_sources_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "02_x.py"
    for text, message in [
        ("x = 1\n", "without a header"),
        (HEADER.replace("minutes: 30", "minutes: long"), "minutes"),
        (HEADER.replace("title: a", "title: a\n# colour: red"), "colour"),
        (HEADER.replace("title: a", "title: a: b"), "YAML"),
        (HEADER.replace("\n# goal: b.", ""), "goal"),
        (HEADER + "# %% [raw]\nx\n", "unknown"),
    ]:
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            read_source(path)
    path.write_text(HEADER + "# %%\n# BEGIN SOLUTION 2.1\nx = 1\n# END SOLUTION\n")
    with pytest.raises(UserError, match="not inside a function"):
        cell_text(read_source(path).cells[0], solutions=False)
