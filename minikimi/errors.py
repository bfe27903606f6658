"""The one error that a user's input may end in: a line that says what is wrong, where, and what to do about it.

What goes into the line may come from anybody's files, so `one_line` makes it fit for a terminal.
"""

from collections.abc import Iterable
from difflib import get_close_matches

LIMIT = 290  # characters of a message on the terminal
TAIL = 90  # of them kept from the end of a message that is too long: the remedy stands there
LONGEST_NAME = 80  # characters of a name that are compared with the known ones; comparing takes time that grows fast


class UserError(ValueError):
    """Something the user gave cannot be used. The message is one line: what, where, remedy."""


def one_line(text: str) -> str:
    """`text` as a printable line of at most `LIMIT` characters: the middle of a longer one is left out.

    White space of any kind becomes one space; what a terminal would obey, not show, becomes its escape: `\\x1b`.
    """
    text = text if len(text) <= 8 * LIMIT else text[: 4 * LIMIT] + text[-4 * LIMIT :]
    shown = "".join(c if c.isprintable() or c.isspace() else c.encode("unicode_escape").decode() for c in text)
    line = " ".join(shown.split())
    return line if len(line) <= LIMIT else f"{line[: LIMIT - TAIL - 3]} … {line[-TAIL:]}"


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """The one of the `known` names that `name` looks like a mistyping of, if one is at least so like it (0 to 1)."""
    close = get_close_matches(name[:LONGEST_NAME], list(known), 1, likeness)
    return close[0] if close else None


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that does not exist: `unknown("stage", "sfft", STAGES)` names sft, then all there are."""
    names = list(known)
    close = nearest(name, names)
    guess = f" (did you mean {close}?)" if close else ""
    return UserError(f"unknown {kind} {name!r}{guess}; choose one of {', '.join(names)}")
