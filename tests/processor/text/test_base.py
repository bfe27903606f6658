"""What every tokenizer can do, on one of plain bytes: text never becomes a control token, and comes back."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikimi.processor.text.base import Tokenizer
from minikimi.processor.text.special_tokens import special_token_table


class Bytes(Tokenizer):
    """A byte is a token."""

    def __init__(self) -> None:
        super().__init__(256, {name: 256 + i for i, name in enumerate(special_token_table(256, 64))})

    def _encode_ordinary(self, text: str) -> list[int]:
        return list(text.encode())

    def _decode_ordinary(self, ids: list[int]) -> str:
        return bytes(ids).decode(errors="replace")

    def save(self, directory: str | os.PathLike) -> None:
        raise AssertionError("not asked here")


TOKENIZER = Bytes()


@given(st.text() | st.sampled_from(["<|im_end|>", "a<|media_pad|>b", "[EOS]"]))
def test_text_comes_back_and_never_holds_a_control_token(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text and all(i < TOKENIZER.base_size for i in ids)


def test_control_tokens_are_dropped_or_printed_in_their_places() -> None:
    end = TOKENIZER.special_id("<|im_end|>")
    ids = [end, *TOKENIZER.encode("a"), end, *TOKENIZER.encode("ä")]
    assert TOKENIZER.decode(ids) == "aä"
    assert TOKENIZER.decode(ids, skip_special_tokens=False) == "<|im_end|>a<|im_end|>ä"


def test_what_is_no_text_and_no_token_is_refused() -> None:
    with pytest.raises(ValueError, match="character 1 is a lone surrogate"):
        TOKENIZER.encode("a\ud800")
    for wrong in (-1, TOKENIZER.vocab_size):
        with pytest.raises(ValueError, match=f"token id {wrong} is outside the vocabulary of {TOKENIZER.vocab_size}"):
            TOKENIZER.decode([wrong])
    with pytest.raises(ValueError, match="no special token '<|im_edn|>'".replace("|", r"\|")):
        TOKENIZER.special_id("<|im_edn|>")
    with pytest.raises(ValueError, match="the chat template needs it"):
        Tokenizer.__init__(TOKENIZER, 256, {})
