"""Learners' copies: made once, never overwritten."""

from pathlib import Path

from minikimi.lab.my import copy_lessons


def test_copies_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_x.ipynb").write_text("theirs")
    assert copy_lessons(tmp_path / "notebooks", tmp_path / "my") == (["02_x.ipynb"], [])
    (tmp_path / "my" / "02_x.ipynb").write_text("mine")
    assert copy_lessons(tmp_path / "notebooks", tmp_path / "my") == ([], ["02_x.ipynb"])
    assert (tmp_path / "my" / "02_x.ipynb").read_text() == "mine"
