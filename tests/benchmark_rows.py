"""What the tests of the real benchmarks share: five rows of every schema, in the layout of the published data."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
from PIL import Image

from minikimi.benchmarks.adapters import SCHEMAS


def drawing(number: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    return Image.new("RGB", size, (40 * number % 256, 90, 200))


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    drawing(number).save(buffer, "PNG")
    return buffer.getvalue()


def to_parquet(folder: Path, rows: list[dict[str, Any]], images: list[str]) -> None:
    features = datasets.Dataset.from_list(rows).features
    for name in images:
        features[name] = datasets.Image()
    datasets.Dataset.from_list(rows, features=features).to_parquet(str(folder / "rows.parquet"))


def to_jsonl(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")


def picture_files(folder: Path) -> list[str]:
    for i in range(5):
        drawing(i).save(folder / f"{i}.png")
    return [f"{i}.png" for i in range(5)]


def make_mmmu(folder: Path) -> None:
    """Options are a list written as text; one question is open; images stand inside the text."""
    common = {"explanation": "", "img_type": "['Photo']", "topic_difficulty": "Easy", "subfield": "Optics"}
    rows = [
        {"id": f"validation_Physics_{i}", "question": f"What does <image 1> show, unlike <image 2>? {i}",
         "options": "['a \"ray\"', \"it's a wave\", 'dust']", "image_1": {"bytes": png(i), "path": None},
         "image_2": {"bytes": png(i + 9), "path": None}, "image_3": None, "answer": "B",
         "question_type": "multiple-choice", **common}
        for i in range(4)
    ]  # fmt: skip
    rows.append({**rows[0], "id": "validation_Physics_9", "question": "How many?", "options": "[]", "answer": "12",
                 "question_type": "open", "image_2": None})  # fmt: skip
    to_parquet(folder, rows, ["image_1", "image_2", "image_3"])


def make_mmbench(folder: Path) -> None:
    """Tab-separated, images in base64, fewer options in some rows, and one row that is a rotation."""
    lines = ["index\thint\tquestion\tA\tB\tC\tD\tanswer\tcategory\timage\tL2-category\tsplit"]
    image = base64.b64encode(png(1)).decode()
    for i in range(5):
        options = ["cat", "dog", "cow", ""] if i else ["cat", "dog", "cow", "pig"]
        lines.append("\t".join([str(i), "", f"Which? {i}", *options, "C", "x", image, "y", "dev"]))
    lines.append("\t".join(["1000000", "", "Which? 0", "dog", "cow", "pig", "cat", "B", "x", image, "y", "dev"]))
    (folder / "MMBench_DEV_EN_V11.tsv").write_text("\n".join(lines) + "\n")


def make_mathvista(folder: Path) -> None:
    rows = [
        {"pid": str(i), "question": "?", "image": f"images/{i}.jpg", "decoded_image": {"bytes": png(i), "path": None},
         "choices": ["red", "blue"] if i < 2 else None, "unit": None, "precision": 1.0 if i == 4 else None,
         "answer": ["blue", "red", "7", "8", "1.5"][i],
         "question_type": "multi_choice" if i < 2 else "free_form",
         "answer_type": ["text", "text", "integer", "integer", "float"][i],
         "query": f"Hint: please answer.\nQuestion: {i}?"}
        for i in range(5)
    ]  # fmt: skip
    to_parquet(folder, rows, ["decoded_image"])


def make_infovqa(folder: Path) -> None:
    rows = [{"questionId": str(i), "question": f"Who? {i}", "answers": ["Ann Lee", f"no. {i}"], "image": name}
            for i, name in enumerate(picture_files(folder))]  # fmt: skip
    to_jsonl(folder, rows)


def make_screenspot(folder: Path) -> None:
    rows = [{"file_name": name, "bbox": [0.25, 0.5, 0.5, 0.75], "instruction": f"open {i}", "data_type": "icon",
             "data_source": "web", "image": name} for i, name in enumerate(picture_files(folder))]  # fmt: skip
    to_jsonl(folder, rows)


def make_screenspot_v2(folder: Path) -> None:
    """The same boxes as a corner and the size, in pixels of a 60 x 40 image."""
    rows = [{"bbox": [15, 20, 15, 10], "instruction": f"open {i}", "image": name}
            for i, name in enumerate(picture_files(folder))]  # fmt: skip
    to_jsonl(folder, rows)


def make_screenspot_pro(folder: Path) -> None:
    rows = [{"bbox": [15, 20, 30, 30], "img_size": [60, 40], "ui_type": "text", "instruction": f"open {i}",
             "image": name} for i, name in enumerate(picture_files(folder))]  # fmt: skip
    to_jsonl(folder, rows)


def make_mmlongbench(folder: Path) -> None:
    """Two documents: a folder of page images, and a PDF."""
    (folder / "documents" / "report").mkdir(parents=True)
    for i in range(3):
        drawing(i, (28 + i, 28)).save(folder / "documents" / "report" / f"page-{i + 9}.png")
    drawing(0).save(folder / "documents" / "book.pdf", save_all=True, append_images=[drawing(1)], resolution=72)
    answers = [("12", "Int"), ("Not answerable", "None"), ("['a', 'b']", "List"), ("50%", "Float"), ("fox", "Str")]
    rows = [{"doc_id": "book.pdf" if i == 4 else "report.pdf", "doc_type": "Guide", "question": f"What? {i}",
             "answer": answer, "evidence_pages": "[1]", "evidence_sources": "['Text']", "answer_format": kind}
            for i, (answer, kind) in enumerate(answers)]  # fmt: skip
    to_jsonl(folder, rows)


def make_egoschema(folder: Path) -> None:
    rows = []
    for i in range(5):
        (folder / "videos" / f"clip{i}").mkdir(parents=True)
        for k in range(20):
            drawing(k, (28, 28)).save(folder / "videos" / f"clip{i}" / f"{k}.png")
        rows.append({"question_idx": str(i), "question": "What is C doing?", "video_idx": f"clip{i}",
                     "option": [f"{x}. C does {x * 3}." for x in "ABCDE"], "answer": str(i)})  # fmt: skip
    to_jsonl(folder, rows)


MAKERS: dict[str, Callable[[Path], None]] = {name: globals()[f"make_{name}"] for name in SCHEMAS}


def made(folder: Path, name: str) -> Path:
    """The folder, with the five rows of a schema in it."""
    MAKERS[name](folder)
    return folder


def infovqa_rows(*names: str) -> list[dict[str, Any]]:
    """Rows that tell nothing but their name."""
    return [{"questionId": name, "question": "Who?", "answers": ["a"]} for name in names]
