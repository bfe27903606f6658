"""Text as it comes: whole letters only, and nothing of a stop text."""

import pytest

from minikimi.inference.text_stream import TextStream


def decode(ids: list[int]) -> str:
    """A token is a byte."""
    return bytes(ids).decode(errors="replace")


def said(text: str, stops: list[str] = [], size: int = 1) -> tuple[list[str], TextStream]:  # noqa: B006
    ids, stream = list(text.encode()), TextStream(decode, stops)
    pieces = [stream.push(ids[i : i + size], i + size >= len(ids)) for i in range(0, len(ids), size)]
    return pieces, stream


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_letters_come_whole(size: int) -> None:
    text = "a é ◁ 猫 🐈 b"
    pieces, _ = said(text, size=size)
    assert "".join(pieces) == text and not any("\ufffd" in piece for piece in pieces)


def test_bytes_that_are_no_letter_do_not_hold_the_rest_back() -> None:
    stream = TextStream(decode)
    pieces = [stream.push([0xFF]) for _ in range(12)]
    assert len("".join(pieces)) >= 8


@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_a_stop_text_and_what_follows_are_never_shown(size: int) -> None:
    pieces, stream = said("one two three", ["two", "three"], size)
    assert "".join(pieces) == "one " and stream.stopped
    assert stream.push(list(b"more"), final=True) == ""


def test_what_only_looks_like_the_beginning_of_one_comes_later() -> None:
    pieces, stream = said("a twin twi", ["two"])
    assert "".join(pieces) == "a twin twi" and not stream.stopped
    waiting = TextStream(decode, ["two"])
    assert [waiting.push(list(part)) for part in (b"a t", b"w", b"in")] == ["a ", "", "twin"]
    assert waiting.push(list(b"t")) == "" and waiting.push([], final=True) == "t"
