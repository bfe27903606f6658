"""From tokens to text as they come (lesson 09).

A token of a byte-level vocabulary may end in the middle of a letter: text is handed out when its letters are whole. It
also waits while it may be the beginning of a stop text, which is never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

BROKEN = "\ufffd"  # what decoding puts for bytes that are no letter
LONGEST_LETTER = 4  # bytes of a letter; a token is at least one


class TextStream:
    """`push` tokens, get the text that is certain. `stopped` is set once a stop text was met: nothing follows it."""

    def __init__(self, decode: Callable[[list[int]], Any], stops: Sequence[str] = ()) -> None:
        self.decode, self.stops, self.stopped = decode, stops, False
        self.ids: list[int] = []  # not yet handed out as text, for a letter is not whole
        self.waited = 0  # times it has been waited for
        self.text = ""  # not yet handed out, for it may begin a stop text

    def push(self, ids: Sequence[int], final: bool = False) -> str:
        """More tokens; `final` says that they are the last, so nothing is held back."""
        self.ids += ids
        text = self.decode(self.ids)
        if not final and text.endswith(BROKEN) and self.waited < LONGEST_LETTER:
            self.waited += 1
            return ""
        self.ids, self.waited = [], 0
        if self.stopped:
            return ""
        self.text += text
        found = [at for stop in self.stops if (at := self.text.find(stop)) >= 0]
        self.stopped = bool(found)
        end = min(found) if found else len(self.text) - (0 if final else self._begun())
        said, self.text = self.text[:end], self.text[end:]
        return said

    def _begun(self) -> int:
        """How many last characters are the beginning of a stop text."""
        lengths = (n for stop in self.stops for n in range(1, len(stop)) if self.text.endswith(stop[:n]))
        return max(lengths, default=0)
