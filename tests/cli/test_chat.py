"""`minikimi chat`: an answer, or one line about what cannot be asked."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from minikimi.cli import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "red.png"
    Image.new("RGB", (56, 56), "red").save(path)
    return str(path)


def test_the_shipped_model_answers(picture: str, capsys: Captured) -> None:
    assert main(["chat", picture, "What colour?", "--max-new-tokens", "4"]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--max-new-tokens", "0"], "--max-new-tokens 0: give a whole number from 1"),
        (["--max-new-tokens", "1000000000"], "--max-new-tokens 1000000000: give a whole number from 1"),
        (["--max-new-tokens", "5000"], "--max-new-tokens 5000: together more than the 4096"),
        (["--temperature", "-1"], "--temperature -1: give a number from 0"),
        (["--temperature", "nan"], "--temperature nan: give a number from 0"),
        (["--temperature", "inf"], "--temperature inf: give a number from 0"),
        (["--modl", "small"], "unknown argument '--modl' (did you mean --model?)"),
        (["--model", "nowhere"], "nowhere: no such directory"),
    ],
)
def test_options_out_of_range(options: list[str], words: str, picture: str, refused: Callable[..., str]) -> None:
    assert words in refused("chat", picture, "What colour?", *options)


def test_a_question_longer_than_the_context(picture: str, refused: Callable[..., str]) -> None:
    assert "ask a shorter question" in refused("chat", picture, "why? " * 5000)
