"""The report card's conversations: pictures, question, the whole output with its thinking, the truth (lesson 15).

Right and wrong ones in the proportion in which evaluation kept them. Pictures are read only from within the run
directory.
"""

from __future__ import annotations

import io
from html import escape
from pathlib import Path
from typing import Any

from minikimi.processor.text.chat import END_THINK, THINK
from minikimi.report.page import absent, embed, section
from minikimi.report.runfiles import RunFiles, sequence

SHOWN = 12
PICTURES = 6  # of one conversation
THUMBNAIL = 320  # pixels, longest side; two thirds of it where there are several


def samples_section(run: RunFiles, room: int) -> str:
    """Up to twelve conversations; `room` bytes at most."""
    kept = [sample for sample in sequence(run.evaluation, "samples") if isinstance(sample, dict)][:SHOWN]
    cards: list[str] = []
    for sample in kept:
        card = sample_card(run.directory, sample)
        if len(card.encode()) <= room:
            room -= len(card.encode())
            cards.append(card)
    body = f'<div class="cards">{"".join(cards)}</div>' if cards else absent("No conversations were kept.")
    right, left = sum(bool(sample.get("correct")) for sample in kept), len(kept) - len(cards)
    title = f"Conversations: {right} right and {len(kept) - right} wrong, in the proportion of all questions"
    return section(title, body + (absent(f"{left} too large to show.") if left else ""))


def sample_card(directory: Path, sample: dict[str, Any]) -> str:
    good = bool(sample.get("correct"))
    text = {name: escape(str(sample.get(name, ""))) for name in ("task", "question", "answer", "truth")}
    tag = "✓ right" if good else "✗ wrong"
    return (
        f'<div class="card{"" if good else " wrong"}">{picture_row(directory, sample)}'
        f'<div><span class="tag">{tag}</span> <span class="soft">{text["task"]}</span></div>'
        f"<div>{text['question']}</div>{raw_output(sample)}"
        f"<div>answer: <b>{text['answer']}</b></div><div>truth: <b>{text['truth']}</b></div></div>"
    )


def raw_output(sample: dict[str, Any]) -> str:
    """The output as it was written, its thinking set off, where it is more than the answer."""
    raw = str(sample.get("raw", ""))
    if raw.strip() == str(sample.get("answer", "")).strip():
        return ""
    thought, closed, rest = raw.partition(END_THINK)
    if not (closed or THINK in raw):
        thought, rest = "", raw
    thinking = f'<span class="think">{escape(thought + closed)}</span>' if thought else ""
    return f"<pre>{thinking}{escape(rest)}</pre>"


def picture_names(sample: dict[str, Any]) -> list[str]:
    """The file names of a conversation's pictures."""
    several = [str(name) for name in sequence(sample, "images")]
    return several or ([str(sample["image"])] if sample.get("image") else [])


def picture_path(directory: Path, name: str) -> Path | None:
    """The file `name` of the run; None if it is not there or leads out of the run."""
    path = (directory / name).resolve()
    return path if path.is_relative_to(directory.resolve()) and path.is_file() else None


def picture_row(directory: Path, sample: dict[str, Any]) -> str:
    names = picture_names(sample)
    if not names:
        return absent("(no picture)")
    side = THUMBNAIL if len(names) == 1 else THUMBNAIL * 2 // 3
    images = "".join(thumbnail(directory, name, side) for name in names[:PICTURES])
    more = absent(f"and {len(names) - PICTURES} more pictures") if len(names) > PICTURES else ""
    return f'<div class="pictures">{images}</div>{more}'


def thumbnail(directory: Path, name: str, side: int) -> str:
    """The picture `name` of the run directory, at most `side` pixels wide and high, as an <img>; or a note."""
    from PIL import Image

    path = picture_path(directory, name)
    if path is None:
        return absent("(picture not kept)")
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return absent("(picture unreadable)")
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=82)
    return embed(buffer.getvalue(), "jpeg", "picture of the question")
