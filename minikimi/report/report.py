"""The report card of a run: one HTML file that shows what was trained, what it learnt, and where it fails (lesson 15).

`write_report` reads what a run directory holds and names what it lacks. All text from files is escaped; the page is
one file of at most 2 MB without scripts and without references to anything else.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from minikimi.files import write_text
from minikimi.report.page import STYLE, absent, count, page, panels, percent, section
from minikimi.report.runfiles import RunFiles, interval_of, number, read_run, sequence, stage_facts, table
from minikimi.report.samples import picture_names, picture_path, samples_section
from minikimi.report.scores import (
    course_section,
    needle_section,
    results_section,
    scaling_section,
)
from minikimi.report.training import curves_section, load_section, rl_section
from minikimi.training.stages import STAGES

MAX_BYTES = 2_000_000


def write_report(run_dir: Path, model: Path | None = None) -> Path:
    """Write `run_dir/report.html` from what the run directory holds, aside first and then renamed; returns its path.
    model: the directory of the model, `run_dir/model` if None.

    Raises `UserError` if the directory is missing, or a JSON file in it is broken.
    """
    run = read_run(Path(run_dir))
    parts = [
        header(run), recipe_section(run), results_section(run), course_section(run), curves_section(run),
        load_section(run), inside_section(run, model), needle_section(run), rl_section(run), scaling_section(run),
        cost_section(run), credits_section(),
    ]  # fmt: skip
    room = MAX_BYTES - sum(len(part.encode()) for part in parts) - len(STYLE) - 2000
    parts.insert(4, samples_section(run, room))
    path = run.directory / "report.html"
    write_text(path, page(run.directory.name, "\n".join(parts)))
    return path


def header(run: RunFiles) -> str:
    """Title, what was trained, and the mean score."""
    evaluation = run.evaluation
    facts = [f"preset {evaluation['preset']}"] if "preset" in evaluation else []
    for name, what in (("parameters", "parameters"), ("active_parameters", "active per token")):
        value = number(evaluation.get(name))
        facts += [f"{count(value)} {what}"] if value is not None else []
    facts += [str(evaluation["date"])] if "date" in evaluation else []
    name = escape(run.directory.resolve().name)
    lines = [f"<h1>Kimi-VL, rebuilt: {name}</h1>", f'<p class="soft">{escape(" · ".join(facts))}</p>']
    mean = table(evaluation, "mean")
    if number(mean.get("score")) is not None:
        ends = interval_of(mean)
        interval = f" ({percent(ends[0])} – {percent(ends[1])})" if ends else ""
        blind = f", {percent(mean['blind'])} without seeing the pictures" if percent(mean.get("blind")) else ""
        score = f"<strong>{percent(mean['score'])}</strong>{interval}"
        lines.append(f"<p>It answers {score} of unseen questions, mean of seven mini-benchmarks{blind}.</p>")
    if "command" in evaluation:
        lines.append(f"<p><code>{escape(str(evaluation['command']))}</code></p>")
    return "\n".join(lines)


def recipe_section(run: RunFiles) -> str:
    """The stages in order, with steps, tokens and minutes; a stage without a trace is grey and says so."""
    boxes = []
    for stage in STAGES.values():
        facts = fact_texts(stage_facts(run, stage.name))
        if (run.directory / stage.name / "last.ckpt").is_file():  # a finished stage removes it
            facts.append("unfinished")
        kind = "" if facts else ' class="absent"'
        note = " · ".join(facts) or "not in this run"
        boxes.append(
            f'<div{kind} style="background:{stage.colour}"><strong>{escape(stage.title)}</strong>'
            f"<small>{escape(stage.about)}</small><small><b>{escape(note)}</b></small></div>"
        )
    return section("The recipe", f'<div class="path">{"".join(boxes)}</div>')


def fact_texts(facts: dict[str, float]) -> list[str]:
    """`stage_facts` in words."""
    words = {"steps": lambda n: f"{n:,.0f} steps", "tokens": lambda n: f"{count(n)} tokens",
             "minutes": lambda n: f"{n:.1f} min"}  # fmt: skip
    return [say(facts[name]) for name, say in words.items() if name in facts]


def inside_section(run: RunFiles, model: Path | None = None) -> str:
    """Attention of a MoonViT head and positions in two dimensions, from the weights in `model`, or the run's own."""
    title = "Inside the eye: attention and positions in two dimensions"
    model = model or run.directory / "model"
    if not (model / "config.json").is_file():
        return section(title, absent("This run has no finished model."))
    from minikimi.report.inside import inside_figures, readable

    samples = [sample for sample in sequence(run.evaluation, "samples") if isinstance(sample, dict)]
    paths = [picture_path(run.directory, name) for sample in samples for name in picture_names(sample)]
    picture = next((path for path in paths if path and readable(path)), None)
    try:
        body = panels(inside_figures(model, picture), "small", captions=True)
    except (OSError, ValueError) as error:
        return section(title, absent(f"The model could not be read: {error}"))
    if picture is None:
        body = absent("No picture was kept to look at.") + body
    note = (
        "Attention of the most focused head of MoonViT's last layer: bright patches are looked at most. Positions: how "
        "alike each patch is to the middle one by its rotary position (bright: equal), and in the learned table (red: "
        "alike, blue: opposed)."
    )
    return section(title, body + absent(note))


def cost_section(run: RunFiles) -> str:
    """Time by stage, memory and machine."""
    by_stage = {stage: facts for stage in STAGES if (facts := stage_facts(run, stage))}
    lines = [cost_row(STAGES[stage].title, facts) for stage, facts in by_stage.items()]
    total = {name: sum(f.get(name, 0) for f in by_stage.values()) for name in ("steps", "tokens", "minutes")}
    lines += [cost_row("all stages", total, "mean")] if by_stage else []
    heads = "".join(f"<th>{name}</th>" for name in ("", "minutes", "steps", "tokens", "tokens/s"))
    times = f'<div class="scroll"><table><tr>{heads}</tr>{"".join(lines)}</table></div>' if lines else ""
    body = times or absent("No times were recorded.")
    rest = "".join(f"<p>{escape(name)}: <b>{escape(value)}</b></p>" for name, value in other_costs(run.evaluation))
    return section("What it cost", body + (rest or absent("Memory and machine were not recorded.")))


def cost_row(name: str, facts: dict[str, float], kind: str = "") -> str:
    minutes, tokens = facts.get("minutes", 0), facts.get("tokens", 0)
    rate = f"{tokens / (60 * minutes):,.0f}" if minutes else ""
    shown = {"minutes": f"{minutes:.1f}", "steps": f"{facts.get('steps', 0):,.0f}", "tokens": count(tokens)}
    cells = (name, *(text if key in facts else "" for key, text in shown.items()), rate)
    return f'<tr class="{kind}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def other_costs(evaluation: dict[str, Any]) -> list[tuple[str, str]]:
    minutes, memory, seconds = (number(evaluation.get(n)) for n in ("minutes", "peak_memory_gib", "seconds"))
    facts = [("training", f"{minutes:.1f} min")] if minutes is not None else []
    facts += [("evaluation", f"{seconds / 60:.1f} min")] if seconds is not None else []
    facts += [("peak memory", f"{memory:.2f} GiB")] if memory is not None else []
    return facts + ([("machine", str(evaluation["machine"]))] if "machine" in evaluation else [])


def credits_section() -> str:
    return (
        '<p class="soft">Pictures: OpenMoji, the open-source emoji and icon project, CC BY-SA 4.0. '
        "Handwritten digits: UCI optical digits (CC BY 4.0), as shipped with scikit-learn. Figures that show them are "
        "shared under the same licences.</p>"
    )
