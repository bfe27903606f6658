"""The report card's sections about scores: the table, the course over the stages, needles, thinking (lesson 15)."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import pairwise
from typing import Any

from minikimi.report.figures import scaling_figure
from minikimi.report.page import absent, heat_table, panels, percent, section
from minikimi.report.runfiles import RunFiles, interval_of, number, rows, sequence, table
from minikimi.report.training import folded
from minikimi.training.stages import BEFORE_LONG, LONG, STAGES

NOT_EVALUATED = "This run was not evaluated: there is no evaluation.json."
HEADS = ("", "score", "", "95% interval", "blind", "chance", "prior", "n")


def results_section(run: RunFiles) -> str:
    """The score table with a bar each: its fill is the score, the black mark the prior answer's."""
    benchmarks = rows(run.evaluation, "benchmarks")
    if not benchmarks:
        return section("What it learnt", absent(NOT_EVALUATED))
    lines = [result_row(name, row) for name, row in benchmarks.items()]
    if mean := table(run.evaluation, "mean"):
        lines.append(result_row("mean", mean, "mean"))
    form = escape(str(run.evaluation.get("form", "not recorded")))
    note = (
        "Held-out questions of seven mini-benchmarks; an answer is right or wrong, nothing between. <em>Blind</em>: "
        "the same model without pictures. <em>Chance</em>: a guess among all answers. <em>Prior</em> (black mark): "
        f"always the commonest training answer to this kind of question. Form of the questions: {form}."
    )
    more = {**rows(run.evaluation, "tasks"), **rows(run.evaluation, "extras")}
    tasks = folded("by task", score_table([result_row(name, row) for name, row in more.items()])) if more else ""
    return section("What it learnt", f'{score_table(lines)}<p class="soft">{note}</p>{tasks}')


def score_table(lines: list[str]) -> str:
    head = "".join(f"<th>{name}</th>" for name in HEADS)
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(lines)}</table></div>'


def result_row(name: str, row: Mapping[str, Any], kind: str = "") -> str:
    score, prior, ends = number(row.get("score")), number(row.get("prior")), interval_of(row)
    interval = f"{percent(ends[0])} – {percent(ends[1])}" if ends else ""
    mark = "" if prior is None else f'<b style="left:{100 * prior:.1f}%"></b>'
    bar = f'<span class="bar"><i style="width:{100 * (score or 0):.1f}%"></i>{mark}</span>'
    about = f"<small>{escape(str(row['about']))}</small>" if "about" in row else ""
    cells = (escape(name) + about, percent(score), bar, interval, percent(row.get("blind")),
             percent(row.get("chance")), percent(prior), escape(str(row.get("n", ""))))  # fmt: skip
    return f'<tr class="{kind}">' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def course_section(run: RunFiles) -> str:
    """The benchmarks after each stage as a heat map. What a column gained over the one before it, the stage gave."""
    title = "What each stage gave: scores after it"
    columns = {stage: values for stage, values in run.scores.items() if rows(values, "benchmarks")}
    if not columns:
        return section(title, absent("No stage was evaluated: there is no STAGE/scores.json."))
    names = dict.fromkeys(name for values in columns.values() for name in rows(values, "benchmarks"))
    lines: dict[str, list[Any]] = {
        name: [rows(values, "benchmarks").get(name, {}).get("score") for values in columns.values()] for name in names
    }
    lines["mean"] = means = [table(values, "mean").get("score") for values in columns.values()]
    forms = [str(values.get("form", "?")) for values in columns.values()]
    body = heat_table(["after", *columns], lines, notes={"asked in": forms})
    body += f"<p>Change of the mean: {escape(changes(list(columns), means, forms))}.</p>"
    missing = [STAGES[stage].title for stage in STAGES if stage not in columns]
    body += absent(f"Not evaluated: {', '.join(missing)}.") if missing else ""
    note = (
        "From fewer questions than the table above, so a few points up or down mean little. Where the form of the "
        "questions changes, the change is that of stage and form together."
    )
    return section(title, body + absent(note))


def changes(stages: list[str], means: list[Any], forms: list[str]) -> str:
    """The gain of each stage over the one before it that was evaluated, in points; with both forms if they differ."""
    columns = zip(stages, means, forms, strict=True)
    found = [(stage, value, form) for stage, mean, form in columns if (value := number(mean)) is not None]
    texts = [
        f"{stage} {100 * (now - then):+.0f}" + (f" (asked in {new} after {old})" if new != old else "")
        for (_, then, old), (stage, now, new) in pairwise(found)
    ]
    return ", ".join(texts) or "nothing to compare"


def needle_section(run: RunFiles) -> str:
    """Recall by length and depth, before and after the long-context stages, and of the finished model."""
    maps = {f"after {stage}": table(run.scores.get(stage, {}), "needle_map") for stage in (BEFORE_LONG, *LONG)}
    maps["the finished model"] = table(run.evaluation, "needle_map")
    drawn = {name: needle_table(name, values) for name, values in maps.items()}
    body = "".join(drawn.values())
    missing = [name for name, html in drawn.items() if not html]
    body = f'<div class="maps">{body}</div>' if body else ""
    if body:
        body += absent("Rows: length of the text in tokens. Columns: where in it the fact stands, 0 is the start. "
                       "A dash: longer than the model's context.")  # fmt: skip
    body += absent(f"No needle map: {', '.join(missing)}.") if missing else ""
    return section("A needle in a haystack: share of facts found", body)


def needle_table(name: str, values: Mapping[str, Any]) -> str:
    """One map; nothing if it is not there."""
    lengths, depths, recall = (sequence(values, key) for key in ("lengths", "depths", "recall"))
    lines = {str(length): shares for length, shares in zip(lengths, recall, strict=False) if isinstance(shares, list)}
    heads = ["tokens", *(f"{depth:.2g}" for depth in map(number, depths) if depth is not None)]
    return heat_table(heads, lines, caption=name) if lines else ""


def scaling_section(run: RunFiles) -> str:
    """Accuracy against the limit of thinking tokens."""
    title = "Room to think: test-time scaling"
    values = table(run.evaluation, "test_time_scaling")
    limits, mean = ([number(v) for v in sequence(values, name)] for name in ("limits", "mean"))
    pairs = [(limit, share) for limit, share in zip(limits, mean, strict=False) if None not in (limit, share)]
    if not pairs:
        thinks = "test_time_scaling" in run.evaluation
        return section(title, absent("This model does not think before it answers." if thinks else "Not measured."))
    ends = [interval_of({"interval": pair}) for pair in sequence(values, "interval")]
    band = [pair for pair in ends if pair] if len(ends) == len(pairs) and all(ends) else []
    figure = scaling_figure([float(a or 0) for a, _ in pairs], [float(b or 0) for _, b in pairs], band)
    lines = {name: shares for name, shares in table(values, "tasks").items() if isinstance(shares, list)}
    lines["mean"] = [share for _, share in pairs]
    heads = ["tokens", *(f"{limit:g}" for limit, _ in pairs)]
    return section(title, panels({"accuracy by thinking tokens": figure}, "wide") + heat_table(heads, lines))
