"""From a row of each data set to the questions that are asked: one function per schema (lesson 15).

An adapter gets the row, its source's entry in `configs/benchmarks.yaml`, the folder of local data, and a name for
errors; it returns one item, or for MMBench one for every rotation of the options. What is right comes from
`references.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from minikimi.benchmarks import references
from minikimi.benchmarks.choices import (
    LETTERS,
    option_lines,
    score_egoschema,
    score_mmbench,
    score_mmmu,
)
from minikimi.benchmarks.distance import score_anls
from minikimi.benchmarks.item import Item, image_parts, text_part
from minikimi.benchmarks.mathvista import score_mathvista
from minikimi.benchmarks.media import frames, pages
from minikimi.benchmarks.mmlongbench import score_mmlongbench
from minikimi.benchmarks.open_answers import score_open
from minikimi.benchmarks.rows import Row, field, picture
from minikimi.benchmarks.screenspot import score_screenspot, score_screenspot_pro, to_fractions

Source = Mapping[str, Any]
Adapter = Callable[[Row, Source, Path, str], list[Item]]


def mmmu(row: Row, source: Source, _: Path, where: str) -> list[Item]:
    """Images stand where `<image 1>` is written, in question or options; those never mentioned stand in front."""
    options, answer = references.mmmu(row, where)
    lines, lettered = option_lines(options)
    ending = source["ending"] if options else source["open_ending"]
    text = "\n".join(filter(None, (str(field(row, "question", where)), lines, ending)))
    images = {n: picture(row, f"image_{n}", where) for n in range(1, 8) if row.get(f"image_{n}") is not None}
    content, order = interleaved(text, images)
    name = str(field(row, "id", where))
    if options:
        score: Any = partial(score_mmmu, answer=str(answer), options=lettered, item_id=name)
    else:
        score = partial(score_open, references=answer)
    return [Item(name, content, order, answer, score, about={"subfield": row.get("subfield", "")})]


def interleaved(text: str, images: Mapping[int, Image.Image]) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """Parts of a text with `<image N>` in it, each image at its first mention; the images in that order."""
    pieces = re.split(r"<image (\d)>", text)
    content, order = [text_part(pieces[0])], list[Image.Image]()
    shown: set[int] = set()
    for number, rest in zip(map(int, pieces[1::2]), pieces[2::2], strict=True):
        if number in images and number not in shown:
            content, order = [*content, *image_parts(1)], [*order, images[number]]
            shown.add(number)
        content.append(text_part(rest))
    missed = [image for number, image in images.items() if number not in shown]
    parts = [*image_parts(len(missed)), *content]
    return [part for part in parts if part.get("text", "image")], [*missed, *order]


def mmbench(row: Row, source: Source, _: Path, where: str) -> list[Item]:
    """One item for every rotation of the options; all of them have to be right. Files that come with rotations number
    them from one million on; those rows are passed over, since we make our own.
    """
    index, given, answer = references.mmbench(row, where)
    if index >= 1_000_000:
        return []
    image, hint = picture(row, "image", where), row.get("hint")
    question = "\n".join(str(part) for part in (hint, field(row, "question", where)) if part not in (None, "", "nan"))
    items = []
    for turn in range(len(given)):
        lines, lettered = option_lines(given[turn:] + given[:turn])
        right = LETTERS[(LETTERS.index(answer) - turn) % len(given)]
        name = str(index + turn * 1_000_000)
        score = partial(score_mmbench, answer=right, options=lettered, item_id=name)
        content = [*image_parts(1), text_part(f"{question}\n{lines}\n{source['ending']}")]
        items.append(Item(name, content, [image], right, score, str(index)))
    return items


def mathvista(row: Row, _: Source, __: Path, where: str) -> list[Item]:
    """The column `query` is the whole prompt."""
    column = "decoded_image" if row.get("decoded_image") is not None else "image"
    choices, answer, kind, precision = references.mathvista(row, where)
    score = partial(score_mathvista, answer=answer, choices=choices, answer_type=kind, precision=precision)
    content = [*image_parts(1), text_part(str(field(row, "query", where)))]
    return [Item(str(field(row, "pid", where)), content, [picture(row, column, where)], answer, score)]


def infovqa(row: Row, source: Source, _: Path, where: str) -> list[Item]:
    """Several references may be right."""
    answers = references.infovqa(row, where)
    content = [*image_parts(1), text_part(f"{field(row, 'question', where)}\n{source['ending']}")]
    name, image = str(field(row, "questionId", where)), picture(row, "image", where)
    return [Item(name, content, [image], answers, partial(score_anls, references=answers))]


def screenspot(row: Row, source: Source, _: Path, where: str) -> list[Item]:
    """An instruction and a box."""
    image = picture(row, "image", where)
    box = to_fractions(references.screenspot(row, where), image.size, source["box"], where)
    content = [*image_parts(1), text_part(f"{field(row, 'instruction', where)}\n{source['ending']}")]
    kind = row.get("data_type") or row.get("ui_type") or ""
    return [Item(where, content, [image], box, partial(score_screenspot, box=box), about={"kind": kind})]


def screenspot_pro(row: Row, source: Source, folder: Path, where: str) -> list[Item]:
    """The same, read by another rule."""
    (item,) = screenspot(row, source, folder, where)
    score = partial(score_screenspot_pro, box=item.answer, size=item.images[0].size)
    return [replace(item, score=score)]


def mmlongbench(row: Row, source: Source, folder: Path, where: str) -> list[Item]:
    """The pages of the whole document, uniformly thinned out to the limit, then the question."""
    images = pages(folder / "documents", str(field(row, "doc_id", where)), source["pages"])
    answer, kind = references.mmlongbench(row, where)
    content = [*image_parts(len(images)), text_part(f"{field(row, 'question', where)}\n{source['ending']}")]
    score = partial(score_mmlongbench, answer=answer, answer_format=kind)
    return [Item(where, content, images, answer, score, about={"doc_type": row.get("doc_type", "")})]


def egoschema(row: Row, source: Source, folder: Path, where: str) -> list[Item]:
    """Frames of the video, then the question and five options; the answer is an index."""
    options, answer = references.egoschema(row, where)
    lettered = {letter: text.strip() for letter, text in zip(LETTERS, options, strict=False)}
    lines, _ = option_lines([re.sub(r"^[A-E]\. ?", "", text) for text in options])
    name = str(field(row, "video_idx", where))
    images = frames(folder / "videos", name, source["frames"])
    content = [*image_parts(len(images)), text_part(f"{field(row, 'question', where)}\n{lines}\n{source['ending']}")]
    score = partial(score_egoschema, answer=answer, options=lettered, item_id=name)
    return [Item(name, content, images, answer, score)]


@dataclass(frozen=True)
class Schema:
    """One benchmark: `items` of a row, and its `reference` alone, which is read of all rows before any is asked."""

    items: Adapter
    reference: Callable[[Row, str], Any]


SCHEMAS = {
    "mmmu": Schema(mmmu, references.mmmu),
    "mmbench": Schema(mmbench, references.mmbench),
    "mathvista": Schema(mathvista, references.mathvista),
    "infovqa": Schema(infovqa, references.infovqa),
    "screenspot": Schema(screenspot, references.screenspot),
    "screenspot_v2": Schema(screenspot, references.screenspot),
    "screenspot_pro": Schema(screenspot_pro, references.screenspot),
    "mmlongbench": Schema(mmlongbench, references.mmlongbench),
    "egoschema": Schema(egoschema, references.egoschema),
}
