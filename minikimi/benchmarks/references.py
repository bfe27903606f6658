"""What an output is compared with, read from a row and checked before any question is asked (lesson 15).

One function per schema: from a row to the parts of its reference. Each raises `UserError` in one line that names file,
row, field and remedy; a reference that no answer or every answer would match costs a whole run if it is found late, or
a wrong score if it is never found. The harness reads all of them first, the adapters read them again for their items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minikimi.benchmarks.choices import LETTERS
from minikimi.benchmarks.literals import literal_list
from minikimi.benchmarks.mathvista import number
from minikimi.benchmarks.mmlongbench import as_list, clean
from minikimi.benchmarks.rows import Row, field
from minikimi.errors import UserError

MAX_CELL = 20_000  # characters of a cell that is read as a list
HIDDEN = "correct the row, or take a split whose answers are published"
EGOSCHEMA_OPTIONS = 5
KINDS = ("text", "integer", "float", "list")  # MathVista's answer types
FORMATS = ("Int", "Float", "Str", "List", "None")  # MMLongBench-Doc's


def refuse(where: str, name: str, value: Any, wanted: str, remedy: str = HIDDEN) -> UserError:
    return UserError(f"{where}: {name} is {str(value)[:60]!r}, expected {wanted}; {remedy}")


def written_list(cell: Any, where: str, name: str) -> list[str]:
    """A list of texts that may be written as one text, as MMMU's options are; read as a literal, never run."""
    if isinstance(cell, str):
        cell = literal_list(cell, MAX_CELL)
    if not isinstance(cell, list | tuple):
        raise UserError(f"{where}: expected a list in {name}, or one written as text; is this the right benchmark?")
    return [str(entry) for entry in cell]


def one_of(value: Any, choices: Sequence[str], where: str, name: str) -> str:
    """A value that must be one of `choices`."""
    if not isinstance(value, str) or value not in list(choices):
        raise refuse(where, name, value, f"one of {repr(', '.join(choices))[1:121]}".removesuffix("'"))
    return value


def lettered(options: list[str], where: str, name: str) -> list[str]:
    """Options that there are letters for."""
    if not 1 <= len(options) <= len(LETTERS):
        raise refuse(where, name, f"a list of {len(options)}", f"1 to {len(LETTERS)} options", "correct the row")
    return options


def texts(values: list[str], where: str, name: str) -> list[str]:
    """References of which at least one must be there, and none blank."""
    if not values or not all(value.strip() for value in values):
        raise refuse(where, name, values, "at least one text, none of them blank")
    return values


def mmmu(row: Row, where: str) -> tuple[list[str], Any]:
    """(options, letter), or for an open question ([], references)."""
    options = written_list(row.get("options") or [], where, "options")
    answer = field(row, "answer", where)
    if options:
        return options, one_of(answer, LETTERS[: len(lettered(options, where, "options"))], where, "answer")
    written = str(answer).startswith("[")
    return [], texts(written_list(answer, where, "answer") if written else [str(answer)], where, "answer")


def mmbench(row: Row, where: str) -> tuple[int, list[str], str]:
    """(index, options, letter); the options stand in the columns from A on, without a gap."""
    columns = [row.get(letter) for letter in "ABCD"]
    given = [str(cell) for cell in columns if cell not in (None, "", "nan") and cell == cell]
    if not given or [str(cell) for cell in columns[: len(given)]] != given:
        raise refuse(where, "A to D", columns, "options from A on without a gap", "correct the row")
    index = number(str(field(row, "index", where)))
    if index is None or index < 0 or index != int(index):
        raise refuse(where, "index", row["index"], "a whole number", "correct the row")
    return int(index), given, one_of(field(row, "answer", where), LETTERS[: len(given)], where, "answer")


def mathvista(row: Row, where: str) -> tuple[list[str] | None, str, str, Any]:
    """(choices or None, answer, type of the answer, decimal places)."""
    answer, kind = str(field(row, "answer", where)), one_of(row.get("answer_type"), KINDS, where, "answer_type")
    if row.get("choices"):
        choices = lettered(written_list(row["choices"], where, "choices"), where, "choices")
        return choices, one_of(answer, choices, where, "answer"), kind, None
    texts([answer], where, "answer")
    if kind in ("integer", "float") and number(answer) is None:
        raise refuse(where, "answer", answer, "a number")
    places = number(str(row.get("precision")))
    if kind == "float" and (places is None or not 0 <= places <= 15):
        raise refuse(where, "precision", row.get("precision"), "0 to 15 decimal places", "correct the row")
    return None, answer, kind, places


def infovqa(row: Row, where: str) -> list[str]:
    """All texts that are right."""
    return texts(written_list(field(row, "answers", where), where, "answers"), where, "answers")


def screenspot(row: Row, where: str) -> list[float]:
    """Four numbers, in the layout and unit of the data."""
    box = field(row, "bbox", where)
    if not (isinstance(box, list | tuple) and len(box) == 4 and all(map(is_finite, box))):
        raise refuse(where, "bbox", box, "four numbers", "correct the row")
    return [float(value) for value in box]


def is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def mmlongbench(row: Row, where: str) -> tuple[str, str]:
    """(answer, its format)."""
    answer = texts([str(field(row, "answer", where))], where, "answer")[0]
    kind = one_of(row.get("answer_format"), FORMATS, where, "answer_format")
    if kind in ("Int", "Float") and number(clean(answer).replace(",", "")) is None:
        raise refuse(where, "answer", answer, "a number")
    if kind == "List" and not as_list(answer):
        raise refuse(where, "answer", answer, "a list that is not empty")
    return answer, kind


def egoschema(row: Row, where: str) -> tuple[list[str], str]:
    """(five options, with their letters as the data has them; the right letter)."""
    options = written_list(field(row, "option", where), where, "option")
    if len(options) != EGOSCHEMA_OPTIONS:
        raise refuse(where, "option", f"a list of {len(options)}", "five options", "correct the row")
    index = one_of(str(field(row, "answer", where)), list(map(str, range(EGOSCHEMA_OPTIONS))), where, "answer")
    return options, LETTERS[int(index)]
