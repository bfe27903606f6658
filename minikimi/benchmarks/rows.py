"""Where a benchmark's rows come from: a local folder or file, else the Hub (lesson 15).

Local: what `datasets.save_to_disk` wrote, parquet files, `.jsonl` (images as file names beside it), or MMBench's
`.tsv` (images as base64). Pictures of others are opened only through `open_image`, which refuses what is broken, huge
or no image at all.
"""

from __future__ import annotations

import base64
import binascii
import csv
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from minikimi.errors import UserError
from minikimi.files import read_json_lines
from minikimi.processor.images.open_image import open_image

Row = dict[str, Any]


def load_rows(name: str, source: Mapping[str, Any], data: Path | None) -> Iterator[Row]:
    """The rows of a benchmark, one after another: from `data` if it is given, else from the first id that opens.

    Only those of `source`'s split: a downloaded benchmark often holds others, with hidden answers. Raises `UserError`,
    in one line and with the remedy, if neither is there.
    """
    return local_rows(data, source["split"]) if data else hub_rows(name, source)


def local_rows(path: Path, split: str) -> Iterator[Row]:
    """Rows of a file or folder; of a folder only the files that name `split`, if any does. Raises `UserError` for a
    path that holds none, and names the line of a broken one.
    """
    if not path.exists():
        raise UserError(f"{path}: not found; give --data the folder or file that holds the benchmark")
    if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
        return placed(path.name, saved_rows(path, split))
    for pattern, read in (("*.parquet", parquet_rows), ("*.jsonl", jsonl_rows), ("*.tsv", tsv_rows)):
        files = sorted(path.rglob(pattern)) if path.is_dir() else [path] if path.match(pattern) else []
        if files:
            chosen = [file for file in files if names_split(file.relative_to(path), split)] or files
            names = {file: str(file.relative_to(path)) if path.is_dir() else file.name for file in chosen}
            return (row for file in chosen for row in placed(names[file], read(file)))
    raise UserError(f"{path}: no saved data set, and no .parquet, .jsonl or .tsv file; give --data another path")


def placed(file: str, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, each with its place for errors: `rows.jsonl, row 3`, counted from 0."""
    for number, row in enumerate(rows):
        yield {**row, "_place": f"{file}, row {number}"}


def names_split(path: Path, split: str) -> bool:
    """Whether a word of the path is `split`: `data/test-00000-of-00001.parquet` is of `test`, not of `testmini`."""
    return split.lower() in re.split(r"[^a-z0-9]+", str(path).lower())


def saved_rows(path: Path, split: str) -> Iterator[Row]:
    """Rows of a folder that `save_to_disk` wrote; of several splits `split`, or all if it is not among them."""
    import datasets

    loaded = datasets.load_from_disk(str(path))
    splits = loaded if isinstance(loaded, datasets.DatasetDict) else {split: loaded}
    for table in [splits[split]] if split in splits else splits.values():
        yield from undecoded(table)


def parquet_rows(path: Path) -> Iterator[Row]:
    import datasets

    yield from undecoded(datasets.load_dataset("parquet", data_files=str(path), split="train"))


def undecoded(table: Any) -> Iterator[Row]:
    """Rows whose images are still bytes: decoding is left to `open_image`."""
    import datasets

    for column, feature in (table.features or {}).items():
        if isinstance(feature, datasets.Image):
            table = table.cast_column(column, datasets.Image(decode=False))
    yield from table


def jsonl_rows(path: Path) -> Iterator[Row]:
    """One object a line; each remembers its folder, to which file names of images are relative."""
    for _, row in read_json_lines(path):
        yield row | {"_folder": path.parent}


def tsv_rows(path: Path) -> Iterator[Row]:
    """Tab-separated, with a header."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a cell holds a whole picture
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file, delimiter="\t")


def hub_rows(name: str, source: Mapping[str, Any]) -> Iterator[Row]:
    """Rows from the Hub or its local cache: of the first id that opens, all configurations one after another."""
    import datasets

    reasons = []
    for repository in source["ids"]:
        try:
            tables = [datasets.load_dataset(repository, config, split=source["split"]) for config in source["configs"]]
        except Exception as error:  # `datasets` raises a dozen kinds for one cause: the data is not there
            reasons.append(f"{repository}: {' '.join(str(error).split())[:80]}")
            continue
        return placed(repository, (row for table in tables for row in undecoded(table)))
    remedy = "go online once, or download it elsewhere and give --data PATH"
    raise UserError(f"{name} is not on this machine and no source opens ({'; '.join(reasons)}); {remedy}")


def field(row: Row, name: str, where: str) -> Any:
    """A cell that must be there. Raises `UserError` that names the row and the columns it has."""
    if row.get(name) is None:
        columns = ", ".join(key for key in row if not key.startswith("_"))
        raise UserError(f"{where}: no {name} (columns: {columns}); is this the right benchmark?")
    return row[name]


def picture(row: Row, name: str, where: str) -> Image.Image:
    """The picture in a cell: bytes, a path inside the data's own folder, or base64."""
    cell = field(row, name, where)
    try:
        return open_image(_source(cell, row.get("_folder")))
    except UserError as error:
        raise UserError(f"{where}, {name}: {error}") from None


def _source(cell: Any, folder: Path | None) -> Any:
    """What `open_image` takes. A file name counts only beside its own data: rows from elsewhere may name any file."""
    if isinstance(cell, dict):
        cell = cell["bytes"] if cell.get("bytes") is not None else cell.get("path")
    if not isinstance(cell, str):
        return cell
    if folder is not None:
        return inside(folder, cell)
    try:
        return base64.b64decode(cell, validate=True)
    except (binascii.Error, ValueError):
        raise UserError("neither an image nor base64") from None


def inside(folder: Path, name: str) -> Path:
    """A path below `folder`. Raises `UserError` if it leads out of it."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError(f"{name!r} lies outside {folder}; move it inside")
    return path
