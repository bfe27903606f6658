"""The official tokenizer: `tiktoken.model`, 163,584 byte-pair ranks, plus 256 reserved ids.

A `tiktoken.model` file is one line per token: the token's bytes in base64, a space, its rank. The rank is the id
*and* the merge order: encoding splits the text with a regular expression, then inside each piece keeps joining the
neighbouring pair whose joined bytes have the lowest rank. There is no separate list of merges.

Lesson 09 builds a toy of this. Source: the tokenizer of Moonlight and Kimi-VL; the split pattern as published with
Kimi K2's tokenizer.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from minikimi.errors import UserError
from minikimi.files import lines_of, read_json, read_text, write_json, write_text
from minikimi.processor.text.base import Tokenizer
from minikimi.processor.text.special_tokens import EOS, OFFICIAL_RESERVED, PAD, special_token_table

MODEL_FILE, CONFIG_FILE = "tiktoken.model", "tokenizer_config.json"

_LETTER_RUN = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]%s[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]%s"
SPLIT_PATTERN = "|".join(
    [
        r"[\p{Han}]+",
        _LETTER_RUN % ("*", "+") + r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        _LETTER_RUN % ("+", "*") + r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)

# tiktoken's regular expressions overflow their stack on a run of a million blanks: long runs are encoded in slices.
MAX_RUN = 25_000
_LONG_RUN = re.compile(rf"\s{{{MAX_RUN}}}|\S{{{MAX_RUN}}}")


class TikTokenTokenizer(Tokenizer):
    """Reads a `tiktoken.model`.

    Args:
        ranks: token bytes -> id; the ids must be 0 .. n - 1 and every single byte must be among them.
        reserved: how many reserved ids follow.
        named: id -> name of the reserved tokens; without it the official offsets apply.

    Raises:
        ValueError: the ranks have holes or miss a byte, or a required special token has no id.
    """

    def __init__(
        self, ranks: Mapping[bytes, int], reserved: int = OFFICIAL_RESERVED, named: Mapping[int, str] | None = None
    ) -> None:
        import tiktoken

        if sorted(ranks.values()) != list(range(len(ranks))):
            raise ValueError(f"the ranks are not 0 .. {len(ranks) - 1}, each once; copy {MODEL_FILE} again")
        if any(bytes([i]) not in ranks for i in range(256)):
            raise ValueError(
                f"not every single byte has a rank, so some texts could not be encoded; copy {MODEL_FILE} again"
            )
        super().__init__(len(ranks), special_token_table(len(ranks), reserved, named))
        self._ranks = dict(ranks)
        # The encoding knows no special token at all: nothing in a text can become one.
        self._encoding = tiktoken.Encoding(
            "kimi", pat_str=SPLIT_PATTERN, mergeable_ranks=self._ranks, special_tokens={}
        )

    @classmethod
    def from_directory(cls, directory: str | os.PathLike) -> TikTokenTokenizer:
        """Read `tiktoken.model` and, where present, the special names of `tokenizer_config.json`.

        Raises `UserError`.
        """
        path = Path(directory) / MODEL_FILE
        ranks = read_ranks(path)
        config_path = Path(directory) / CONFIG_FILE
        config = read_json(config_path) if config_path.is_file() else {}
        try:
            return cls(ranks, named=_named_tokens(config))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path.parent}: {MODEL_FILE} and {CONFIG_FILE} do not fit together: {error}") from None

    def save(self, directory: str | os.PathLike) -> None:
        """Write `tiktoken.model` and `tokenizer_config.json`."""
        lines = (
            f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in sorted(self._ranks.items(), key=_rank)
        )
        write_text(Path(directory) / MODEL_FILE, "".join(lines))
        named = {str(self.special_tokens[name]): _added_token(name) for name in self.named_special_tokens()}
        config = {
            "tokenizer_class": "TikTokenTokenizer",
            "eos_token": EOS,
            "pad_token": PAD,
            "added_tokens_decoder": named,
        }
        write_json(Path(directory) / CONFIG_FILE, config)

    def _encode_ordinary(self, text: str) -> list[int]:
        return [i for piece in _short_runs(text) for i in self._encoding.encode_ordinary(piece)]

    def _decode_ordinary(self, ids: list[int]) -> str:
        return self._encoding.decode(ids, errors="replace")


def read_ranks(path: Path) -> dict[bytes, int]:
    """Token bytes -> rank from a `tiktoken.model` file. Raises `UserError` naming the line that is wrong."""
    # Our own few lines, because tiktoken's reader caches by path: a replaced file would give the old ranks.
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(lines_of(read_text(path)), start=1):
        if not line:
            continue
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error):
            raise UserError(
                f"{path}:{number}: expected base64 and a rank, found {line[:40]!r}; copy the file again"
            ) from None
    return ranks


def _named_tokens(config: Mapping[str, Any]) -> dict[int, str] | None:
    """id -> name from the `added_tokens_decoder` of a `tokenizer_config.json`, or None where it has none."""
    added = config.get("added_tokens_decoder")
    return {int(i): str(token["content"]) for i, token in added.items()} if added else None


def _added_token(name: str) -> dict[str, Any]:
    return {
        "content": name,
        "special": True,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "single_word": False,
    }


def _rank(item: tuple[bytes, int]) -> int:
    return item[1]


def _short_runs(text: str) -> Iterator[str]:
    """Cut `text` only where blanks, or non-blanks, go on for `MAX_RUN` characters."""
    start = 0
    for run in _LONG_RUN.finditer(text):
        yield text[start : run.end()]
        start = run.end()
    yield text[start:]
