"""Building: names that are not there, what a kernel finds without imports, what changes and what does not."""

from pathlib import Path

import pytest
from nbformat import v4

from minikimi.errors import UserError
from minikimi.lab.authoring.build import compare, execute, main, write


def test_build_says_what_it_cannot_find(capsys: pytest.CaptureFixture) -> None:
    assert main(["77"]) == 1
    assert "no lesson 77" in capsys.readouterr().err


def test_hint_and_solution_need_no_import_in_a_notebook(tmp_path: Path) -> None:
    lines = ("from minikimi.lab import setup", 'setup("02")'), ('hint("2.1")',), ('solution("2.1")',)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("\n".join(cell)) for cell in lines])
    execute(notebook, tmp_path)
    assert "2.1 hint 1" in notebook.cells[1].outputs[0].text and "Why:" in notebook.cells[2].outputs[0].text


@pytest.mark.parametrize(
    ("code", "why"), [("1 / 0", "ZeroDivisionError"), ("import sys; print(1, file=sys.stderr)", "stderr")]
)
def test_a_cell_that_stops_or_warns_is_no_lesson(tmp_path: Path, code: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        execute(v4.new_notebook(cells=[v4.new_code_cell(code)]), tmp_path)


def test_only_a_difference_is_written_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "x.ipynb"
    assert not compare(path, "a\nb\n") and "+a" in capsys.readouterr().out
    assert write(path, "a\nb\n") and not write(path, "a\nb\n")
    assert compare(path, "a\nb\n") and not capsys.readouterr().out
