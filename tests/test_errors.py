"""What is printed is one short printable line, whatever a user's files held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minikimi.errors import LIMIT, UserError, nearest, one_line, unknown

ANY = st.text(st.characters(exclude_categories=()), max_size=2000)  # lone surrogates and control characters too


@given(ANY)
def test_any_text_becomes_one_short_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable() and len(line) <= LIMIT


@given(st.text(st.characters(categories=("L", "N")), min_size=1, max_size=LIMIT))
def test_short_printable_text_stays(text: str) -> None:
    assert one_line(text) == text


def test_what_a_terminal_would_obey_is_shown() -> None:
    assert one_line("a\x1b[2Jb\u2028c\td\x85e\u202ef\udcff") == r"a\x1b[2Jb c d e\u202ef\udcff"


def test_the_end_of_a_long_line_is_kept() -> None:
    line = one_line("what: " + "x" * 100_000 + "; the remedy")
    assert line.startswith("what: xxx") and line.endswith("; the remedy") and len(line) <= LIMIT


def test_nearest() -> None:
    assert nearest("capton", ["count", "caption"]) == "caption"
    assert nearest("poem", ["count", "caption"]) is None
    assert nearest("capton", ["caption"], likeness=0.99) is None
    assert nearest("x" * 10**6, ["caption"]) is None  # at once


def test_unknown_names_the_nearest_and_all_there_are() -> None:
    assert str(unknown("task", "capton", ["count", "caption"])) == (
        "unknown task 'capton' (did you mean caption?); choose one of count, caption"
    )
    with pytest.raises(UserError, match=r"^unknown task 'poem'; choose one of count$"):
        raise unknown("task", "poem", iter(["count"]))
