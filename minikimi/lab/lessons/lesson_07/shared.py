"""What several exercises of lesson 07 share."""

from __future__ import annotations

from functools import cache

from minikimi.model.config import KimiVLConfig
from minikimi.processor.text.tokenizer import small_tokenizer

NANO = KimiVLConfig.preset("nano")
PAD = NANO.media_placeholder_token_id
tokenizer = cache(small_tokenizer)


def token_name(i: int) -> str:
    """How a token id reads; for an id that does not exist, "nothing"."""
    return tokenizer().decode([i], skip_special_tokens=False) if 0 <= i < tokenizer().vocab_size else "nothing"
