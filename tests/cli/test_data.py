"""`minikimi data show`: a page, or one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from minikimi.cli import main

Captured = pytest.CaptureFixture[str]


def test_show_writes_the_page(tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "new" / "page.png"
    assert main(["data", "show", "--count", "5", "--task", "number", "--out", str(out)]) == 0
    assert Image.open(out).width == 960 and f"5 samples: {out}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--count", "0"], "--count 0: give a whole number from 1 to 1000"),
        (["--count", "100000000"], "--count 100000000: give a whole number from 1 to 1000"),
        (["--seed", "-1"], "--seed -1: give a whole number"),
        (["--task", "nmber"], "unknown task of the picture world 'nmber' (did you mean number?)"),
        (["--split", "heldout"], "unknown split 'heldout' (did you mean held_out?)"),
    ],
)
def test_what_cannot_be_shown(options: list[str], words: str, refused: Callable[..., str]) -> None:
    assert words in refused("data", "show", *options)
