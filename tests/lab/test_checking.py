"""`check`, `hint`, `solution` and `progress`: what they say, what they return, what they keep and where."""

from pathlib import Path

import pytest
import torch

from minikimi.errors import UserError
from minikimi.lab import check, hint, progress, solution
from minikimi.lab.lessons.lesson_02.e04_apply_rotary import halves
from minikimi.lab.lessons.lesson_02.e05_patch_coordinates import from_one
from minikimi.model.rope import apply_rotary


def test_check_returns_the_answer_only_when_it_is_right(capsys: pytest.CaptureFixture) -> None:
    def right(x, cos, sin):
        return apply_rotary(x, cos, sin)

    assert check("2.4", right) is right
    assert check("2.4", halves.answer) is apply_rotary
    said = capsys.readouterr().out
    assert "2.4 right" in said and "half-split pairs" in said and "unflatten" in said


def test_an_unknown_mistake_is_described(capsys: pytest.CaptureFixture) -> None:
    check("2.4", lambda x, cos, sin: x[:1])
    check("2.4", lambda x, cos, sin: 1 / 0)
    check("2.1", lambda dim, theta: torch.ones(dim))
    said = capsys.readouterr().out
    assert "shape (1, 3, 8), expected (3, 3, 8)" in said and "ZeroDivisionError" in said
    assert "8 channels are 4 pairs" in said


def test_hints_and_solution(capsys: pytest.CaptureFixture) -> None:
    hint("2.4")
    hint("2.4", 2)
    solution("2.4")
    said = capsys.readouterr().out
    assert "hint 1" in said and "hint 2" in said and "def apply_rotary" in said and "Why:" in said
    with pytest.raises(UserError, match="hints 1 and 2"):
        hint("2.4", 3)


def test_progress_is_kept_in_my_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    check("2.4", apply_rotary)
    assert not list(tmp_path.iterdir())
    (tmp_path / "my").mkdir()
    monkeypatch.chdir(tmp_path / "my")
    check("2.4", apply_rotary)
    check("2.5", from_one.answer)
    assert '"2.4": "right"' in Path("progress.json").read_text()
    check("2.4", halves.answer)  # solved once stays solved
    monkeypatch.setattr("minikimi.lab.checking._states", {})
    progress("02")
    assert "1 of 8 exercises solved" in capsys.readouterr().out
    Path("progress.json").write_text("{broken")
    progress("02")
