"""Reading and writing files, and where the files of the package lie.

Reading names the file in every error. Writing is all or nothing: a file is written beside its target, flushed to the
disk and renamed, so a reader, or a run that is killed, finds the old file or the new one and never half of it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minikimi.errors import UserError

PACKAGE = Path(__file__).parent
SHIPPED = PACKAGE / "shipped"  # trained models that come with the package, one folder each
CONFIGS = PACKAGE / "configs"  # settings of every stage
# The lessons: a wheel carries them inside the package, in a checkout they lie beside it.
NOTEBOOKS = _inside if (_inside := PACKAGE / "_notebooks").is_dir() else PACKAGE.parent / "notebooks"


def locate(directory: str | os.PathLike) -> Path:
    """`directory` as a path; or, where there is none, the shipped model of this name (`small`)."""
    path = Path(directory)
    shipped = SHIPPED / path.name
    return shipped if not path.exists() and len(path.parts) == 1 and shipped.is_dir() else path


def model_directory(directory: str | os.PathLike) -> Path:
    """`directory` itself if it holds config.json, the `model` folder of a finished run inside it, or the shipped model
    of this name.
    """
    path = locate(directory)
    for candidate in (path, path / "model"):
        if (candidate / "config.json").is_file():
            return candidate
    if not path.is_dir():
        raise UserError(f"{path}: no such directory; give one with config.json and *.safetensors, or a finished run")
    raise UserError(
        f"{path}: no config.json here or in {path / 'model'}; if this run was interrupted, finish it with --resume"
    )


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark. Raises `UserError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UserError(f"{path}: cannot be read ({reason}); copy the file again") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises `UserError` for anything else."""
    try:
        values = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}); copy the file again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: expected a JSON object, found {type(values).__name__}; copy the file again")
    return values


def lines_of(text: str) -> list[str]:
    """The lines of `text`, cut at line feeds only.

    `str.splitlines` also cuts at U+2028, U+2029 and U+0085, which may stand inside a JSON string.
    """
    lines = text.split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSON lines file with their line numbers, counted from 1; blank lines are passed over.

    Raises `UserError`, naming file and line, for a line that is no JSON object.
    """
    for number, line in enumerate(lines_of(read_text(path)), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not JSON ({error}); correct the line") from None
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {number}: expected an object; correct the line")
        yield number, row


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; when the block ends without an error, that file becomes `path`.

    Missing folders are made. What was written is on the disk before it takes the name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.part")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, all or nothing."""
    with written_aside(path) as aside:
        aside.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, all or nothing."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, values: Any, indent: int = 1) -> None:
    """Write `values` as indented JSON, all or nothing."""
    write_text(path, json.dumps(values, indent=indent, ensure_ascii=False) + "\n")


def write_json_lines(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON value a line, all or nothing."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def replace_directory(source: Path, target: Path) -> None:
    """Put a copy of the folder `source` in the place of `target`; the old `target` goes once its successor is whole."""
    aside, before = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.before")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(source, aside)
    shutil.rmtree(before, ignore_errors=True)
    if target.exists():
        os.replace(target, before)
    os.replace(aside, target)
    shutil.rmtree(before, ignore_errors=True)
