"""The results of findings on disk: findings.json, a table in findings.md, a plot each, all plots in findings.png, and
one page findings.html.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from minikimi.errors import UserError
from minikimi.files import write_bytes
from minikimi.findings.plot import figure
from minikimi.findings.registry import NAMES, load
from minikimi.report.page import embed, page, section

Row = dict[str, Any]
INTRODUCTION = (
    "Each row measures one claim of the papers again, on models of some hundred thousand parameters that train for "
    "seconds. The rule of each verdict was fixed before the measurement; a toy that does not show an effect says no, "
    "which is no statement about the effect at scale."
)
QUICK = "quick: too short to show anything"


def read_rows(out: Path) -> dict[str, Row]:
    """The rows of an earlier run, by name. Raises `UserError` if findings.json is there and unreadable."""
    path = out / "findings.json"
    if not path.is_file():
        return {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["findings"]
        return {row["name"]: row for row in rows if row["name"] in NAMES}
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not a file of findings; delete it, or give another --out") from None


def write_results(out: Path, rows: Mapping[str, Row], drawn: Mapping[str, Row]) -> None:
    """Write all files: rows in the order of the registry, plots of `drawn` alone."""
    for name, row in drawn.items():
        finding = load(name)
        write_bytes(out / f"{name}.png", figure(finding.title, finding.draw, row["measurements"]))
    ordered = [rows[name] for name in NAMES if name in rows]
    text = json.dumps({"findings": ordered}, indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(out / "findings.json", text.encode())
    write_bytes(out / "findings.md", markdown(ordered).encode())
    pictures = {row["name"]: (out / f"{row['name']}.png").read_bytes() for row in ordered}
    write_bytes(out / "findings.html", html(ordered, pictures).encode())
    write_bytes(out / "findings.png", sheet(list(pictures.values())))


def sheet(pictures: Sequence[bytes], columns: int = 3, size: tuple[int, int] = (520, 320)) -> bytes:
    """All plots on one picture, three in a row."""
    width, height = size
    page = Image.new("RGB", (columns * width, -(-len(pictures) // columns) * height), "white")
    for k, picture in enumerate(pictures):
        plot = Image.open(io.BytesIO(picture)).convert("RGB").resize(size, Image.Resampling.LANCZOS)
        page.paste(plot, (k % columns * width, k // columns * height))
    buffer = io.BytesIO()
    page.quantize(64).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def answer(row: Row) -> str:
    return "yes" if row["reproduced"] else "no"


def markdown(rows: list[Row]) -> str:
    """The table: claim, what was measured, and whether it was reproduced."""
    lines = ["| finding | the paper's claim | measured here | reproduced |", "|---|---|---|---|"]
    for row in rows:
        note = f" ({QUICK})" if row["quick"] else ""
        source = row["claim"] + f" ({row['source']})"
        lines.append(f"| {row['name']} | {source} | {row['sentence']}; {seeds_of(row)}{note} | {answer(row)} |")
        if row.get("trained"):
            lines.append(f"| | | {row['trained']} | |")
    return f"{INTRODUCTION}\n\n" + "\n".join(lines) + "\n"


def seeds_of(row: Row) -> str:
    count = len(row["measurements"])
    return f"{count} seed{'s' if count > 1 else ''}"


def html(rows: list[Row], pictures: Mapping[str, bytes]) -> str:
    """One page that needs nothing else: a summary, then a box for each finding."""
    shown = sum(row["reproduced"] for row in rows)
    head = f"<h1>Findings</h1><p>{escape(INTRODUCTION)}</p><p><b>{shown} of {len(rows)}</b> reproduced.</p>"
    style = "<style>.plot img{width:100%;max-width:40rem}</style>"
    return page("Findings", style + head + "\n".join(box(row, pictures[row["name"]]) for row in rows))


def box(row: Row, picture: bytes) -> str:
    """One finding: verdict, claim, numbers, plot, and how it was measured."""
    kind = "" if row["reproduced"] else " wrong"
    lines = [
        f'<div class="card{kind}"><p class="tag">reproduced: {answer(row)}</p><p>{escape(row["sentence"])}</p></div>',
        f"<p><b>Claim:</b> {escape(row['claim'])} <span class='soft'>({escape(row['source'])})</span></p>",
        f"<p>{escape(row.get('trained', ''))}</p>",
        f'<div class="plot">{embed(picture, "png", row["title"])}</div>',
        f"<p class='soft'>Rule: {escape(row['rule'])}. {seeds_of(row)}, {row['seconds']:.0f} s of one core."
        f"{' ' + QUICK if row['quick'] else ''}</p>",
    ]
    return section(row["title"], "\n".join(lines))
