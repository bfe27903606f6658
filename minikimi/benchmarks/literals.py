"""Lists that were written as text, as in MMMU's options and MMLongBench-Doc's answers: read within limits, never run.

Nesting is what makes a parser slow or deep, so it is counted first, outside of the quoted texts.
"""

from __future__ import annotations

import ast
import re

QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
DEEPEST = 2


def literal_list(text: str, longest: int) -> list[object] | None:
    """The list or tuple of texts and numbers that `text` writes; None for anything else, for more than `longest`
    characters, and for brackets more than two deep.
    """
    if len(text) > longest or depth(text) > DEEPEST:
        return None
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return list(value) if isinstance(value, list | tuple) else None


def depth(text: str) -> int:
    """Deepest nesting of brackets outside of quotes."""
    now = deepest = 0
    for character in QUOTED.sub("", text):
        now += (character in "([{") - (character in ")]}")
        deepest = max(deepest, now)
    return deepest
