"""What a learner calls: verdicts, hints, progress that is kept only in my/; copies, doctor, teaching page."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from nbformat import v4

from minikimi.errors import UserError
from minikimi.lab import answers_02 as answers
from minikimi.lab import check, doctor, hint, photo, progress, setup, solution, teaching
from minikimi.lab.build import execute, sources
from minikimi.lab.build import main as build
from minikimi.lab.exercise import Misfit, difference, exercise, judge
from minikimi.lab.my import copy_lessons
from minikimi.model.rope import apply_rotary


def test_check_returns_the_answer_only_when_it_is_right(capsys: pytest.CaptureFixture) -> None:
    def right(x, cos, sin):
        return apply_rotary(x, cos, sin)

    assert check("2.4", right) is right
    assert check("2.4", answers.halves) is apply_rotary
    said = capsys.readouterr().out
    assert "2.4 right" in said and "half-split pairs" in said and "unflatten" in said


def test_an_unknown_mistake_is_described(capsys: pytest.CaptureFixture) -> None:
    check("2.4", lambda x, cos, sin: x[:1])
    check("2.4", lambda x, cos, sin: 1 / 0)
    check("2.1", lambda dim, theta: torch.ones(dim))
    said = capsys.readouterr().out
    assert "shape (1, 3, 8), expected (3, 3, 8)" in said and "ZeroDivisionError" in said
    assert "8 channels are 4 pairs" in said


def test_an_answer_that_spoils_its_input_is_judged_by_its_result() -> None:
    def spoils(x, angles):
        out = answers.rotate_vector(x, angles)
        x.zero_()
        return out

    assert judge(exercise("2.2"), spoils).state == "right"


def test_hints_and_solution(capsys: pytest.CaptureFixture) -> None:
    hint("2.4")
    hint("2.4", 2)
    solution("2.4")
    said = capsys.readouterr().out
    assert "hint 1" in said and "hint 2" in said and "def apply_rotary" in said and "Why:" in said
    with pytest.raises(UserError, match="hints 1 and 2"):
        hint("2.4", 3)


@pytest.mark.parametrize("bad", ["2.99", "99.1", "x"])
def test_unknown_exercises_are_named(bad: str) -> None:
    with pytest.raises(UserError, match=r"no (exercise|lesson)"):
        check(bad, None)


def test_setup_prints_one_line_that_is_the_same_everywhere(capsys: pytest.CaptureFixture) -> None:
    setup("02")
    first = torch.rand(1)
    setup("02")
    assert torch.equal(torch.rand(1), first)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1] and torch.__version__ not in lines[0]


def test_hint_and_solution_need_no_import_in_a_notebook(tmp_path: Path) -> None:
    lines = ("from minikimi.lab import setup", 'setup("02")'), ('hint("2.1")',), ('solution("2.1")',)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("\n".join(cell)) for cell in lines])
    execute(notebook, tmp_path)
    assert "2.1 hint 1" in notebook.cells[1].outputs[0].text and "Why:" in notebook.cells[2].outputs[0].text


def test_progress_is_kept_in_my_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    check("2.4", apply_rotary)
    assert not list(tmp_path.iterdir())
    (tmp_path / "my").mkdir()
    monkeypatch.chdir(tmp_path / "my")
    check("2.4", apply_rotary)
    check("2.5", answers.from_one)
    assert '"2.4": "right"' in Path("progress.json").read_text()
    check("2.4", answers.halves)  # solved once stays solved
    monkeypatch.setattr("minikimi.lab.checking._states", {})
    progress("02")
    assert "1 of 8 exercises solved" in capsys.readouterr().out
    Path("progress.json").write_text("{broken")
    progress("02")


def test_difference_sees_structure_dtype_and_nan() -> None:
    x = torch.ones(3)
    for bad in (x.double(), x[:2], [1, 1, 1], None, x * float("nan"), x + 1e-2):
        with pytest.raises(Misfit):
            difference(bad, x, 1e-4)
    with pytest.raises(Misfit):
        difference((x,), (x, x), 1e-4)
    difference((x, 2, "a"), (x + 1e-6, 2, "a"), 1e-4)


def test_copies_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_x.ipynb").write_text("theirs")
    assert copy_lessons(tmp_path / "notebooks", tmp_path / "my") == (["02_x.ipynb"], [])
    (tmp_path / "my" / "02_x.ipynb").write_text("mine")
    assert copy_lessons(tmp_path / "notebooks", tmp_path / "my") == ([], ["02_x.ipynb"])
    assert (tmp_path / "my" / "02_x.ipynb").read_text() == "mine"


def test_photo_is_real_and_in_range() -> None:
    image = photo("flower", 28, 42)
    assert image.shape == (3, 28, 42) and 0 <= image.min() < 0.1 and 0.9 < image.max() <= 1 and image.std() > 0.1


def test_doctor_reports_and_finds_problems(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.main() == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("python", "torch", "devices", "triton", "memory", "all well"))
    monkeypatch.setattr(torch, "__version__", "2.3.1+cpu")
    monkeypatch.setattr(doctor, "memory", lambda: 1.5)
    assert doctor.main() == 1
    said = capsys.readouterr().out
    assert "torch 2.3.1+cpu: 2.11 to 2.13 is tested" in said and "1.5 GiB" in said


def test_teaching_page_is_up_to_date() -> None:
    all_sources = sources([])
    page = teaching.PAGE.read_text()
    assert teaching.generate(page, all_sources) == page, "run make notebooks"
    for name in teaching.PLANS:
        lines = teaching.plan(name, all_sources).splitlines()[2:]
        rows = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines]
        assert all(before[1] == after[0] for before, after in pairwise(rows)), "minutes follow one another"
        limit = {"minutes90": 90, "halfday": 270}.get(name, 480)
        assert int(rows[-1][1]) <= limit
    assert set(re.findall(r"generated: (\w+)", page)) == {*teaching.PLANS, "lessons", "wrong"}


def test_build_says_what_it_cannot_find(capsys: pytest.CaptureFixture) -> None:
    assert build(["77"]) == 1
    assert "no lesson 77" in capsys.readouterr().err
