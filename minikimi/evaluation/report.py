"""The report card of a run: one HTML file that shows what was trained, what it learnt, and where it fails (lesson 15).

`write_report` reads what a run directory holds and names what it lacks. All text from files is escaped; the page is
one file of at most 2 MB.
"""

from __future__ import annotations

import io
import json
import os
from html import escape
from pathlib import Path
from typing import Any

from rich.table import Table

from minikimi.config import UserError
from minikimi.evaluation import figures
from minikimi.evaluation.page import STYLE, absent, count, embed, page, panels, percent, section

STAGES = {
    "text": ("Text", "the language model alone, on words"),
    "vit": ("ViT training", "image-text pairs: contrastive and caption loss"),
    "align": ("Alignment", "projector and ViT meet the language model"),
    "joint": ("Joint training", "pictures and text, every word is learnt"),
    "sft": ("Fine-tuning", "questions and answers, loss on answers"),
}
SHOWN_SAMPLES = 16
THUMBNAIL = 320  # pixels, longest side
MAX_BYTES = 2_000_000


def write_report(run_dir: Path) -> Path:
    """Write `run_dir/report.html` from what the run directory holds, aside first and then renamed; returns its path.

    Raises `UserError` if the directory is missing or its evaluation.json is no JSON object.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise UserError(f"{run_dir}: no such directory; give the directory of a run")
    evaluation = read_evaluation(run_dir / "evaluation.json")
    columns = {stage: figures.read_columns(run_dir / stage / "metrics.csv") for stage in STAGES}
    parts = [
        header(run_dir.name, evaluation),
        path_section(columns, evaluation),
        results_section(evaluation),
        curves_section(columns),
        load_section(run_dir, columns),
        cost_section(evaluation),
        credits_section(),
    ]
    room = MAX_BYTES - sum(len(part.encode()) for part in parts) - len(STYLE) - 1000
    parts.insert(3, samples_section(run_dir, evaluation, room))
    path = run_dir / "report.html"
    aside = path.with_name("report.html.part")
    aside.write_text(page(run_dir.name, "\n".join(parts)), encoding="utf-8")
    os.replace(aside, path)
    return path


def read_evaluation(path: Path) -> dict[str, Any]:
    """The evaluation's results; an empty dictionary if the run was not evaluated."""
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not valid JSON ({error}); run the evaluation again") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: holds no JSON object; run the evaluation again")
    return values


def header(name: str, evaluation: dict[str, Any]) -> str:
    """Title, what was trained, and the mean score."""
    facts = [f"preset {evaluation['preset']}"] if "preset" in evaluation else []
    if "parameters" in evaluation:
        facts.append(f"{count(evaluation['parameters'])} parameters")
    if "active_parameters" in evaluation:
        facts.append(f"{count(evaluation['active_parameters'])} active per token")
    if "date" in evaluation:
        facts.append(str(evaluation["date"]))
    lines = [f"<h1>Kimi-VL, rebuilt: {escape(name)}</h1>", f'<p class="soft">{escape(" · ".join(facts))}</p>']
    mean = evaluation.get("mean", {})
    if "exact" in mean:
        blind = f", {percent(mean.get('blind'))} without seeing the picture" if "blind" in mean else ""
        lines.append(f"<p>It answers <strong>{percent(mean['exact'])}</strong> of unseen questions exactly{blind}.</p>")
    if "command" in evaluation:
        lines.append(f"<p><code>{escape(str(evaluation['command']))}</code></p>")
    return "\n".join(lines)


def path_section(columns: dict[str, dict[str, list[float]]], evaluation: dict[str, Any]) -> str:
    """The stages in order, with steps, tokens and minutes; a stage without a trace is grey and says so."""
    boxes = []
    for stage, (title, what) in STAGES.items():
        facts = evaluation.get("stages", {}).get(stage, {})
        steps = facts.get("steps") or max(figures.curve(columns[stage], "step")[0], default=0)
        seen = [f"{steps:,.0f} steps"] if steps else []
        seen += [f"{count(facts['tokens'])} tokens"] if "tokens" in facts else []
        seen += [f"{facts['minutes']:.1f} min"] if "minutes" in facts else []
        kind = "" if seen else ' class="absent"'
        note = " · ".join(seen) or "not in this run"
        boxes.append(
            f'<div{kind} style="background:{figures.COLOURS[stage]}"><strong>{escape(title)}</strong>'
            f"<small>{escape(what)}</small><small>{escape(note)}</small></div>"
        )
    return section("The path", f'<div class="path">{"".join(boxes)}</div>')


def results_section(evaluation: dict[str, Any]) -> str:
    """The score table with a bar each: its fill is the score, the black mark the prior answer's."""
    tasks = evaluation.get("tasks", {})
    if not tasks:
        return section("What it learnt", absent("This run was not evaluated: there is no evaluation.json."))
    rows = [result_row(task, scores) for task, scores in tasks.items()]
    if evaluation.get("mean"):
        rows.append(result_row("mean", evaluation["mean"], "mean"))
    heads = ("task", "exact match", "", "95% interval", "blind", "prior", "n")
    table = "<table><tr>" + "".join(f"<th>{h}</th>" for h in heads) + "</tr>" + "".join(rows) + "</table>"
    note = (
        "Held-out questions; the whole answer must be right. <em>Blind</em>: the same model without the picture. "
        "<em>Prior</em> (black mark): always the commonest answer to this kind of question."
    )
    return section("What it learnt", f'<div class="scroll">{table}</div><p class="soft">{note}</p>')


def result_row(task: str, scores: dict[str, Any], kind: str = "") -> str:
    low, high = scores.get("interval") or (None, None)
    interval = "" if low is None else f"{percent(low)} – {percent(high)}"
    mark = "" if scores.get("prior") is None else f'<b style="left:{100 * scores["prior"]:.1f}%"></b>'
    bar = f'<span class="bar"><i style="width:{100 * (scores.get("exact") or 0):.1f}%"></i>{mark}</span>'
    cells = (escape(task), percent(scores.get("exact")), bar, interval, percent(scores.get("blind")),
             percent(scores.get("prior")), escape(str(scores.get("n", ""))))  # fmt: skip
    return f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def samples_section(run_dir: Path, evaluation: dict[str, Any], room: int) -> str:
    """Pictures with question, answer and truth, up to half of them failures; `room` bytes at most."""
    cards: list[str] = []
    for sample in choose_samples(evaluation.get("samples", [])):
        card = sample_card(run_dir, sample)
        room -= len(card.encode())
        if room < 0:
            break
        cards.append(card)
    body = f'<div class="cards">{"".join(cards)}</div>' if cards else absent("No samples were kept.")
    return section("Samples, failures included", body)


def choose_samples(samples: list[dict[str, Any]], shown: int = SHOWN_SAMPLES) -> list[dict[str, Any]]:
    """At most `shown` samples in alternation, half right and half wrong where there are enough of both."""
    right = [s for s in samples if s.get("correct")]
    wrong = [s for s in samples if not s.get("correct")]
    failures = min(len(wrong), max(shown // 2, shown - len(right)))
    right, wrong = right[: shown - failures], wrong[:failures]
    paired = [s for pair in zip(right, wrong, strict=False) for s in pair]
    return paired + right[len(wrong) :] + wrong[len(right) :]


def sample_card(run_dir: Path, sample: dict[str, Any]) -> str:
    good = bool(sample.get("correct"))
    lines = [thumbnail(run_dir, str(sample.get("image", "")))]
    tag = "✓ right" if good else "✗ wrong"
    lines.append(
        f'<div><span class="tag">{tag}</span> <span class="soft">{escape(str(sample.get("task", "")))}</span></div>'
    )
    lines.append(f"<div>{escape(str(sample.get('question', '')))}</div>")
    for key in ("answer", "truth"):
        lines.append(f"<div>{key}: <b>{escape(str(sample.get(key, '')))}</b></div>")
    return f'<div class="card{"" if good else " wrong"}">{"".join(lines)}</div>'


def thumbnail(run_dir: Path, name: str) -> str:
    """The picture `name` of the run directory, made small, as an <img>; a note if it is not there."""
    from PIL import Image

    path = (run_dir / name).resolve()
    if not name or not path.is_relative_to(run_dir.resolve()) or not path.is_file():
        return absent("(picture not kept)" if name else "(no picture)")
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
    except OSError:
        return absent("(picture unreadable)")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=82)
    return embed(buffer.getvalue(), "jpeg", "picture of the question")


def curves_section(columns: dict[str, dict[str, list[float]]]) -> str:
    """Loss, its parts and learning rate by stage, and which stages left no metrics."""
    parts = sorted({name for c in columns.values() for name in c if name.startswith("loss_")})
    body = panels(figures.curve_figures(columns, "loss", average=True))
    body += panels({k: png for name in parts for k, png in figures.curve_figures(columns, name, average=True).items()})
    body += panels(figures.curve_figures(columns, "lr", average=False))
    missing = [STAGES[stage][0] for stage, c in columns.items() if not figures.curve(c, "loss")[0]]
    if missing:
        body += absent(f"No metrics of: {', '.join(missing)}.")
    return section("How it learnt", body)


def load_section(run_dir: Path, columns: dict[str, dict[str, list[float]]]) -> str:
    """Heat maps of the expert loads and how far from balance they ended."""
    body = ""
    for stage, (title, _) in STAGES.items():
        loads = figures.read_columns(run_dir / stage / "expert_load.csv")
        body += panels(figures.load_figures(loads, stage))
        ends = ", ".join(f"layer {layer}: {value:.2f}" for layer, value in figures.violation(loads).items())
        body += f"<p>{escape(title)}, excess of the busiest expert at the end: {ends}.</p>" if ends else ""
    body += panels(figures.curve_figures(columns, "max_violation", average=True))
    if not body:
        return section("Who did the work: expert load", absent("No expert loads were recorded."))
    note = "White: the even share of tokens. Red: more, blue: less. Max violation: busiest expert / even share - 1."
    return section("Who did the work: expert load", body + absent(note))


def cost_section(evaluation: dict[str, Any]) -> str:
    """Time, memory and machine."""
    facts = []
    if "minutes" in evaluation:
        facts.append(("time, all stages", f"{evaluation['minutes']:.1f} min"))
    if "peak_memory_gib" in evaluation:
        facts.append(("peak memory", f"{evaluation['peak_memory_gib']:.2f} GiB"))
    if "machine" in evaluation:
        facts.append(("machine", str(evaluation["machine"])))
    rows = "".join(f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in facts)
    body = f'<div class="scroll"><table>{rows}</table></div>' if rows else absent("Not recorded.")
    return section("What it cost", body)


def credits_section() -> str:
    return (
        '<p class="soft">Pictures: OpenMoji, the open-source emoji and icon project, CC BY-SA 4.0. '
        "Handwritten digits: UCI optical digits, as shipped with scikit-learn.</p>"
    )


def results_table(evaluation: dict[str, Any]) -> Table:
    """The report's score table for the terminal."""
    table = Table(title="Held-out questions, exact match")
    for name in ("task", "exact", "95% interval", "blind", "prior", "n"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for task, scores in [*evaluation.get("tasks", {}).items(), ("mean", evaluation.get("mean") or {})]:
        if not scores:
            continue
        low, high = scores.get("interval") or (None, None)
        interval = "" if low is None else f"{percent(low)} – {percent(high)}"
        row = (percent(scores.get("exact")), interval, percent(scores.get("blind")), percent(scores.get("prior")))
        table.add_row(task, *row, str(scores.get("n", "")), style="bold" if task == "mean" else None)
    return table
