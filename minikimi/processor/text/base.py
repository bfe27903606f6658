"""What every tokenizer here can do: text to ids and back, and names for the reserved ids.

The one rule worth teaching: **`encode` never yields a reserved id.** A user who types `<|im_end|>` or `<|media_pad|>`
has typed nine or thirteen characters, not a control token, so the end of a turn and the place of an image can only be
set by code that asks for them with `special_id`. (The official tokenizer parses such text as control tokens unless
told otherwise; see lesson 09 for what that allows.)
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from minikimi.processor.text.special_tokens import REQUIRED


class Tokenizer(ABC):
    """Byte-level BPE plus a block of reserved ids behind it.

    Attributes:
        base_size: number of ordinary tokens; their ids are 0 .. base_size - 1.
        special_tokens: name -> id of every reserved token, ids base_size .. vocab_size - 1.
        vocab_size: ordinary and reserved tokens together.
    """

    def __init__(self, base_size: int, special_tokens: Mapping[str, int]) -> None:
        missing = [name for name in REQUIRED if name not in special_tokens]
        if missing:
            raise ValueError(f"the tokenizer has no special token {', '.join(missing)}; the chat template needs it")
        self.base_size = base_size
        self.special_tokens = dict(special_tokens)
        self.vocab_size = base_size + len(special_tokens)
        self._special_names = {i: name for name, i in special_tokens.items()}

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, all below `base_size`, whatever the text contains.

        Raises `ValueError` if `text` holds a lone surrogate.
        """
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            # The libraries below would either crash or silently put U+FFFD in its place.
            raise ValueError(f"character {error.start} is a lone surrogate, not Unicode text; remove it") from None
        return self._encode_ordinary(text)

    def decode(self, ids: Sequence[int], skip_special_tokens: bool = True) -> str:
        """The text of `ids`; `decode(encode(s)) == s`. Bytes that are no valid UTF-8 become U+FFFD.

        Args:
            ids: token ids.
            skip_special_tokens: drop reserved tokens; if False they are printed by name.

        Raises:
            ValueError: an id is outside the vocabulary.
        """
        texts: list[str] = []
        run: list[int] = []
        for i in ids:
            if not 0 <= i < self.vocab_size:
                raise ValueError(
                    f"token id {i} is outside the vocabulary of {self.vocab_size}; use the tokenizer of this model"
                )
            if i < self.base_size:
                run.append(i)
            elif not skip_special_tokens:
                texts += [self._decode_ordinary(run), self._special_names[i]]
                run = []
        return "".join([*texts, self._decode_ordinary(run)])

    def special_id(self, name: str) -> int:
        """The id of a reserved token, such as `special_id("<|im_end|>")`. Raises `ValueError` for an unknown name."""
        if name not in self.special_tokens:
            raise ValueError(f"no special token {name!r}; named ones are {', '.join(self.named_special_tokens())}")
        return self.special_tokens[name]

    def named_special_tokens(self) -> list[str]:
        """The reserved tokens that carry a name of their own."""
        return [name for name in self.special_tokens if not name.startswith("<|reserved_token_")]

    @abstractmethod
    def _encode_ordinary(self, text: str) -> list[int]:
        """Ids below `base_size` for valid Unicode `text`."""

    @abstractmethod
    def _decode_ordinary(self, ids: list[int]) -> str:
        """Text of ids below `base_size`."""

    @abstractmethod
    def save(self, directory: str | os.PathLike) -> None:
        """Write the files that `load_tokenizer` reads."""
