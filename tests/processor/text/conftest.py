"""A small official-style tokenizer directory made by hand: 256 bytes and a few merges, to be checked on paper."""

from __future__ import annotations

import base64

import pytest

from minikimi.processor.text import TikTokenTokenizer, Tokenizer, small_tokenizer

# "日" and "本" are three bytes each; " 日" would be a merge across the Han boundary and must never be used.
MERGES = [
    b"he",
    b"ll",
    b"hell",
    b"hello",
    b" w",
    b"12",
    b"123",
    b"1234",
    b"im",
    "日".encode(),
    "日本".encode(),
    b"a" + "日".encode(),
]


def rank_lines(tokens: list[bytes]) -> str:
    return "".join(f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))


@pytest.fixture
def official_directory(tmp_path):
    tokens = [bytes([i]) for i in range(256)] + MERGES
    (tmp_path / "tiktoken.model").write_text(rank_lines(tokens))
    return tmp_path


@pytest.fixture(params=["official", "small"])
def tokenizer(request, official_directory) -> Tokenizer:
    return small_tokenizer() if request.param == "small" else TikTokenTokenizer.from_directory(official_directory)
