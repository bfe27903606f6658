"""Reading and writing the small files of a tokenizer or processor directory.

Errors name the file; writing is all or nothing.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from minikimi.config import UserError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises `UserError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: cannot be read ({reason}); copy the file again") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises `UserError` for anything else."""
    try:
        values = json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); copy the file again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(values).__name__}; copy the file again")
    return values


def write_text(path: Path, text: str) -> None:
    """Write aside in the same directory, then rename: a reader sees the old file or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write `values` as indented JSON, all or nothing."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
