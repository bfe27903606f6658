"""Hugging Face `datasets` both ways: the picture world as a table, and your own image-text data as samples (lesson 09).

One schema, written by `to_dataset` and read by `load_samples`:

    images    list of images; also accepted: `image`, a single one
    messages  list of {role, content}; content is a text, or a list of {type: "image" | "text", text}
    answer, caption, solution, task, id    texts; optional on reading
    question  with `answer`, accepted in place of `messages`

What a sample has beyond that (`more`, `facts`) stays with the drawing program: further questions belong into
`messages`, as more turns.

Pictures of others are opened only through `open_image`, which refuses what is broken, huge or not an image.
Everything here works offline (`HF_HUB_OFFLINE=1`) on local data. The Kimi-VL report (arXiv 2504.07491, section 3.1)
mixes such sets with synthetic data.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from minikimi.data.loader import Source
from minikimi.errors import UserError
from minikimi.files import read_json_lines
from minikimi.processor.images.open_image import open_image
from minikimi.sample import Sample, question_and_answer

if TYPE_CHECKING:
    import datasets

EXPECTED = "expected `images` (or `image`) and `messages` (or `question` and `answer`)"
ROLES = ("system", "user", "assistant")
JSONL = "metadata.jsonl"


def _row(sample: Sample) -> dict[str, Any]:
    """A sample as one row: every content a list of parts, because Arrow wants one type per column."""
    messages = []
    for message in sample.messages:
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        typed = [{"type": part["type"], "text": part.get("text")} for part in parts]
        messages.append({"role": message["role"], "content": typed})
    return {
        "id": sample.id,
        "task": sample.task,
        "messages": messages,
        "images": sample.images,
        "answer": sample.answer,
        "caption": sample.caption,
        "solution": sample.solution,
    }


def to_dataset(source: Source, n: int) -> datasets.Dataset:
    """The first `n` samples as an in-memory `datasets.Dataset`; images are stored as PNG.

    Save it with `save_to_disk`, `to_parquet` or `push_to_hub`; `load_samples` reads it back. `more` and `facts` are
    left out: they belong to the drawing program.
    """
    import datasets

    part = {"type": datasets.Value("string"), "text": datasets.Value("string")}
    text = datasets.Value("string")
    features = datasets.Features(
        {
            "id": text,
            "task": text,
            "messages": datasets.List({"role": text, "content": datasets.List(part)}),
            "images": datasets.List(datasets.Image()),
            "answer": text,
            "caption": text,
            "solution": text,
        }
    )
    rows = [_row(source[i]) for i in range(min(n, len(source)))]
    return datasets.Dataset.from_list(rows, features=features)


class SampleTable:
    """A map-style table of rows as a finite source of samples: what `PackedLoader` packs epoch by epoch."""

    def __init__(self, rows: datasets.Dataset | list[dict[str, Any]], name: str, folder: Path | None = None) -> None:
        self.rows, self.name, self.folder = rows, name, folder

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        """Sample `index`; raises UserError naming table and row if the row cannot be used."""
        return to_sample(self.rows[index], f"{self.name}, row {index}", self.folder)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))


class SampleStream:
    """A streamed table as an iterable of samples. It has no length and no index, so a run that must resume exactly, or
    see every sample once per epoch, loads the table instead."""

    def __init__(self, rows: datasets.IterableDataset, name: str) -> None:
        self.rows, self.name = rows, name

    def __iter__(self) -> Iterator[Sample]:
        return (to_sample(row, f"{self.name}, row {i}") for i, row in enumerate(self.rows))


def to_sample(row: Mapping[str, Any], where: str, folder: Path | None = None) -> Sample:
    """One row of the schema as a Sample. `where` names the row in errors; image file names are relative to `folder`.

    Raises UserError if columns are missing, a role or part is unknown, or images and image parts differ in number.
    """
    given = row.get("images", row.get("image"))
    images = given if isinstance(given, list) else [] if given is None else [given]
    messages = _messages(row, where, len(images))
    parts = sum(part["type"] == "image" for m in messages for part in m["content"] if not isinstance(m["content"], str))
    if parts != len(images):
        raise UserError(f"{where}: the messages hold {parts} image parts but there are {len(images)} images")
    try:
        opened = [open_image(_bytes_or_path(image, where, folder)) for image in images]
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    answers = [m["content"] for m in messages if m["role"] == "assistant"]
    answer = row.get("answer") or (answers[-1] if answers and isinstance(answers[-1], str) else "")
    return Sample(
        id=str(row.get("id") or where),
        task=str(row.get("task") or "custom"),
        messages=messages,
        images=opened,
        answer=str(answer),
        caption=str(row.get("caption") or ""),
        solution=str(row.get("solution") or ""),
    )


def _messages(row: Mapping[str, Any], where: str, images: int) -> list[dict[str, Any]]:
    """The conversation of a row; a content of one text becomes that text."""
    if row.get("messages") is None:
        if row.get("question") is None or row.get("answer") is None:
            raise UserError(f"{where}: columns {', '.join(row)}; {EXPECTED}")
        return question_and_answer(str(row["question"]), str(row["answer"]), images)
    messages = []
    for message in row["messages"]:
        if message.get("role") not in ROLES:
            raise UserError(f"{where}: role {message.get('role')!r} is not one of {', '.join(ROLES)}")
        messages.append({"role": message["role"], "content": _content(message.get("content"), where)})
    return messages


def _content(content: Any, where: str) -> str | list[dict[str, str]]:
    """A text, or a list of image and text parts without the empty fields that Arrow adds."""
    if isinstance(content, str):
        return content
    parts: list[dict[str, str]] = []
    for part in content or []:
        if part.get("type") == "image":
            parts.append({"type": "image"})
        elif part.get("type") == "text" and isinstance(part.get("text"), str):
            parts.append({"type": "text", "text": part["text"]})
        else:
            raise UserError(f"{where}: content part {str(part)[:80]} is neither an image nor a text")
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _bytes_or_path(image: Any, where: str, folder: Path | None) -> Any:
    """What `open_image` takes: bytes, or a path that stays inside the data's own folder."""
    if isinstance(image, dict):
        image = image["bytes"] if image.get("bytes") is not None else image["path"]
    if folder is not None and isinstance(image, str):
        path = (folder / image).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise UserError(f"image {image!r} lies outside {folder}; move it inside")
        return path
    return image


@overload
def load_samples(
    path_or_name: str | os.PathLike[str], split: str = "train", streaming: Literal[False] = False
) -> SampleTable: ...


@overload
def load_samples(path_or_name: str | os.PathLike[str], split: str, streaming: Literal[True]) -> SampleStream: ...


def load_samples(
    path_or_name: str | os.PathLike[str], split: str = "train", streaming: bool = False
) -> SampleTable | SampleStream:
    """Image-text data in the schema above, as samples.

    path_or_name: a `save_to_disk` folder, a `.parquet` or `.jsonl` file, a folder of parquet files, a folder of
    images with `metadata.jsonl` (its `images` are file names relative to the folder), or the name of a data set on
    the Hub. streaming: read parquet or the Hub row by row, for sets larger than the disk; the order is that of the
    files.

    Raises UserError when nothing is found or the columns are not those of the schema, before the first sample.
    """
    path, name = Path(path_or_name), str(path_or_name)
    jsonl = path / JSONL if (path / JSONL).is_file() else path
    if jsonl.suffix == ".jsonl" and jsonl.is_file():
        return SampleTable([row for _, row in read_json_lines(jsonl)], name, jsonl.parent)
    rows = _open(path, name, split, streaming)
    columns = rows.column_names or list(next(iter(rows), {}))
    key = next((c for c in ("images", "image") if c in columns), None)
    if key is None or not ("messages" in columns or {"question", "answer"} <= set(columns)):
        raise UserError(f"{name}: columns {', '.join(columns) or 'none'}; {EXPECTED}; rename with `rename_column`")
    rows = rows.cast_column(key, _undecoded(rows.features[key]) if rows.features else _undecoded(None))
    return SampleStream(rows, name) if streaming else SampleTable(rows, name)


def _undecoded(feature: Any) -> Any:
    """The same image column, but handing out bytes: decoding is left to `open_image`."""
    import datasets

    image = datasets.Image(decode=False)
    return datasets.List(image) if isinstance(feature, datasets.List) else image


def _open(path: Path, name: str, split: str, streaming: bool) -> Any:
    """A Dataset or IterableDataset, from disk if `path` exists, else from the Hub."""
    import datasets

    try:
        if (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file():
            loaded = datasets.load_from_disk(str(path))
            table = loaded[split] if isinstance(loaded, datasets.DatasetDict) else loaded
            return table.to_iterable_dataset() if streaming else table
        if path.is_file() or path.is_dir():
            files = sorted(map(str, path.rglob("*.parquet"))) if path.is_dir() else [str(path)]
            if not files:
                raise UserError(f"{name}: no parquet files, no {JSONL} and no saved data set in this folder")
            return datasets.load_dataset("parquet", data_files=files, split="train", streaming=streaming)
        return datasets.load_dataset(name, split=split, streaming=streaming)
    except UserError:
        raise
    except Exception as error:  # `datasets` raises a dozen kinds for one cause: the data is not there
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{name}: cannot be opened as a data set, split {split!r} ({reason})") from None
