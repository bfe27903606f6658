"""`minikimi lab` works on the folder it is called in, and leaves alone what is not its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from minikimi.cli import main
from minikimi.files import NOTEBOOKS


def test_my_copies_every_lesson_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "my"]) == 0
    copied = {path.name for path in (tmp_path / "my").iterdir()}
    assert copied == {path.name for path in NOTEBOOKS.glob("*.ipynb")} and len(copied) >= 9
    assert f"{len(copied)} lessons copied" in capsys.readouterr().out


def test_a_site_of_others_is_not_replaced(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("my own")
    assert "holds something else" in refused("lab", "site")


def test_alone_it_shows_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab"]) == 0 and "site" in capsys.readouterr().out
