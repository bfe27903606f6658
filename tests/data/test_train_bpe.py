"""How the small tokenizer is trained: the same every time, no merge across glyphs, and not from too little text."""

from pathlib import Path

import pytest

from minikimi.data import train_bpe
from minikimi.data.train_bpe import ENGLISH, picture_names, train
from minikimi.processor.text import BPETokenizer


def test_training_is_deterministic_and_keeps_glyphs_apart():
    # The corpus shouts "STOP 2026" a thousand times: merges across glyphs would be the most frequent ones.
    texts = ["STOP 2026 STOP2026 " * 20, *ENGLISH.splitlines()] * 50
    first, second = (train(texts, ordinary=400, reserved=64) for _ in range(2))
    assert first == second
    tokenizer = BPETokenizer(first)
    assert (tokenizer.base_size, tokenizer.vocab_size, tokenizer.special_id("<|media_pad|>")) == (400, 464, 421)
    assert len(tokenizer.encode("STOP 2026")) == len(tokenizer.encode("2026 STOP")) == 9
    assert tokenizer.decode(tokenizer.encode("naïve 日本 \x00")) == "naïve 日本 \x00"


def test_too_little_text_is_refused() -> None:
    with pytest.raises(ValueError, match="not 960; give more text"):
        train(["a b c"])


def test_the_names_are_those_of_the_pictures() -> None:
    names = list(picture_names())
    assert {"pizza" in name for name in names} == {True, False} and len(set(names)) > 1000
    assert all(name == name.lower() for name in names)


def test_the_command_writes_a_tokenizer_that_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(train_bpe, "world_texts", lambda samples: asked.append(samples) or ["a cat"] * samples)
    train_bpe.main(["--samples", "3", "--out", str(tmp_path / "tokenizer.json")])
    tokenizer = BPETokenizer.from_file(tmp_path / "tokenizer.json")
    assert asked == [3] and (tokenizer.base_size, tokenizer.vocab_size) == (960, 1024)
    assert tokenizer.decode(tokenizer.encode("A cat, 2026")) == "A cat, 2026"
