"""The small tokenizer: byte-level BPE in a `tokenizers` file, 960 ordinary and 64 reserved ids.

A nano model cannot carry an embedding of 163,840 rows, so we train a small vocabulary on the texts of the picture
world (`train_bpe.py`). Two choices serve reading: every digit and every uppercase letter is a token of its own, so
that a printed number or a printed word costs one token per glyph and the model can copy what it sees. All 256 bytes
are in the vocabulary, so any text survives the round trip.

Lesson 09 trains one. Byte-level BPE: Radford et al. 2019 (GPT-2), section 2.2; Sennrich et al. 2016.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from minikimi.errors import UserError
from minikimi.files import read_json, write_json
from minikimi.processor.text.base import Tokenizer
from minikimi.processor.text.special_tokens import BOS, IM_END, PAD, UNK

TOKENIZER_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"


class BPETokenizer(Tokenizer):
    """Reads a `tokenizer.json` whose `added_tokens` are the reserved ids.

    Args:
        definition: the parsed file.

    Raises:
        ValueError: the ids have holes, a required special token is missing, or the file is no BPE of `tokenizers`.
    """

    def __init__(self, definition: dict[str, Any]) -> None:
        from tokenizers import Tokenizer as FastTokenizer

        special = {token["content"]: token["id"] for token in definition["added_tokens"]}
        # The fast tokenizer is built without its added tokens, so no text can become one. Its own switch for that
        # (`encode_special_tokens`) is lost when the object is pickled, which is how it reaches a worker process.
        ordinary = FastTokenizer.from_str(json.dumps({**definition, "added_tokens": []}))
        base = ordinary.get_vocab_size()
        if sorted(special.values()) != list(range(base, base + len(special))):
            raise ValueError(f"the added tokens are not the ids {base} .. {base + len(special) - 1}, each once")
        super().__init__(base, special)
        self._definition = definition
        self._ordinary = ordinary

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> BPETokenizer:
        """Read a `tokenizer.json`.

        Raises `UserError` if it is missing, damaged, or lacks the chat template's tokens.
        """
        definition = read_json(Path(path))
        try:
            return cls(definition)
        except Exception as error:  # the Rust library raises bare `Exception`
            raise UserError(
                f"{path}: not a usable tokenizer ({type(error).__name__}: {error}); copy the file again"
            ) from None

    def save(self, directory: str | os.PathLike) -> None:
        """Write `tokenizer.json`, and the `tokenizer_config.json` that transformers asks for."""
        write_json(Path(directory) / TOKENIZER_FILE, self._definition)
        config = {"bos_token": BOS, "eos_token": IM_END, "unk_token": UNK, "pad_token": PAD, "padding_side": "left"}
        write_json(Path(directory) / CONFIG_FILE, {"tokenizer_class": "PreTrainedTokenizerFast", **config})

    def _encode_ordinary(self, text: str) -> list[int]:
        return self._ordinary.encode(text, add_special_tokens=False).ids

    def _decode_ordinary(self, ids: list[int]) -> str:
        return self._ordinary.decode(ids, skip_special_tokens=False)
