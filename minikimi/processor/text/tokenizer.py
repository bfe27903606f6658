"""Which tokenizer: that of a model directory (`load_tokenizer`) or the shipped one (`small_tokenizer`).

Lesson 09. The two kinds are `TikTokenTokenizer` (the official file) and `BPETokenizer` (ours); both are a `Tokenizer`.
"""

from __future__ import annotations

import os
from pathlib import Path

from minikimi.errors import UserError
from minikimi.processor.text.base import Tokenizer
from minikimi.processor.text.bpe import TOKENIZER_FILE, BPETokenizer
from minikimi.processor.text.tiktoken_bpe import MODEL_FILE, TikTokenTokenizer

__all__ = ["BPETokenizer", "TikTokenTokenizer", "Tokenizer", "load_tokenizer", "small_tokenizer"]

SMALL_FILE = Path(__file__).parent / "small_bpe" / TOKENIZER_FILE


def load_tokenizer(directory: str | os.PathLike) -> Tokenizer:
    """The tokenizer of a model directory. `tiktoken.model` wins over `tokenizer.json`: it is the official file.

    Raises:
        UserError: neither file is there, or the one found is damaged.
    """
    directory = Path(directory)
    if (directory / MODEL_FILE).is_file():
        return TikTokenTokenizer.from_directory(directory)
    if (directory / TOKENIZER_FILE).is_file():
        return BPETokenizer.from_file(directory / TOKENIZER_FILE)
    found = "the directory does not exist" if not directory.is_dir() else "neither is there"
    raise UserError(f"{directory}: expected {MODEL_FILE} or {TOKENIZER_FILE}, but {found}; give a model directory")


def small_tokenizer() -> BPETokenizer:
    """The shipped tokenizer of 1,024 ids that the presets `nano` and `small` use."""
    return BPETokenizer.from_file(SMALL_FILE)
