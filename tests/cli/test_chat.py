"""`minikimi chat`: an answer, a conversation, or one line about what cannot be asked."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from minikimi.cli import main
from minikimi.cli.chat import drawn
from minikimi.inference.conversation import Conversation, Piece
from minikimi.inference.sampling import Sampling

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
        (["--max-new-tokens", "5000"], "5000 new ones exceed the context of 4096; ask a shorter question"),
        (["--device", "nowhere"], "--device nowhere: not on this machine"),
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


def typed(monkeypatch: pytest.MonkeyPatch, *lines: str | type[BaseException]) -> None:
    """What the user types, line by line, and then Ctrl-D."""
    keys = iter([*lines, EOFError])

    def read(prompt: str) -> str:
        line = next(keys)
        if isinstance(line, str):
            return line
        raise line

    monkeypatch.setattr("builtins.input", read)


def test_without_arguments_it_asks_about_a_drawn_picture(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    typed(monkeypatch, KeyboardInterrupt, "")
    assert main(["chat", "--seed", "3", "--max-new-tokens", "8"]) == 0
    out = capsys.readouterr().out
    path = re.search(r"no training has drawn: (.*)\n> ", out)
    assert path and Image.open(path[1]).width > 0
    assert f"The truth: {drawn(3).answer})" in out and "Ctrl-D ends the conversation" in out


def test_a_conversation_goes_on_after_mistakes(picture: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    asked: list[list[str]] = []

    def ask(self: Conversation, question: str, images: list, limit: int, sampling: Sampling) -> Iterator[Piece]:
        asked.append([question, f"{len(images)} pictures", "thinking" if self.think else ""])
        self.turns.append({"role": "assistant", "content": "fine"})
        yield "thought", "hm"
        yield "answer", "fi\x1b[2Jne"
        if question == "stop":
            raise KeyboardInterrupt

    monkeypatch.setattr(Conversation, "ask", ask)
    lines = ["one", "/image nowhere.png", "/imag x", "/think maybe", "/think on", f"/image {picture}", "stop", "/new"]
    typed(monkeypatch, *lines, "two")
    assert main(["chat", picture]) == 0
    assert asked == [["one", "1 pictures", ""], ["stop", "1 pictures", "thinking"], ["two", "0 pictures", "thinking"]]
    out, err = capsys.readouterr()
    assert "hm\nfi\\x1b[2Jne\n" in out and "(stopped)" in out and "\x1b" not in out
    assert [line for line in err.splitlines() if line.startswith("minikimi: ")] == [
        "minikimi: nowhere.png: no such file; check the path",
        "minikimi: unknown command '/imag' (did you mean /image?); choose one of /image, /think, /new",
        "minikimi: /think: say on or off",
    ]


def test_an_honest_word_about_photographs(tmp_path: Path, capsys: Captured) -> None:
    Image.new("RGB", (900, 600)).save(tmp_path / "photo.jpg")
    assert main(["chat", str(tmp_path / "photo.jpg"), "What?", "--max-new-tokens", "1"]) == 0
    assert "do not expect it to make sense of a photograph" in capsys.readouterr().err
