"""docs/results.md: what a model can do, number by number, written from its card.json (lesson 15).

`python -m minikimi.report.results_page small > docs/results.md`, or `make results`. Every number of the page is in the
card; a test holds page and card together.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from minikimi.files import SHIPPED, read_json
from minikimi.report.score_table import percent
from minikimi.training.stages import STAGES

Card = Mapping[str, Any]
Z = 1.96  # of a 95 % interval


def results_page(card: Card) -> str:
    """The page of one card."""
    parts = [introduction(card), stage_table(card), benchmark_table(card), thinking(card), reinforcement(card)]
    return "\n\n".join([*parts, needles(card), READING]) + "\n"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval(low: float, high: float) -> str:
    return f"{100 * low:.0f}–{100 * high:.0f} %"


def points(share: float) -> str:
    return f"{100 * share:+.1f}"


def introduction(card: Card) -> str:
    return (
        f"# Results of the `{card['preset']}` model\n\n"
        f"Written by `make results` from [its card](../minikimi/shipped/{card['preset']}/card.json): "
        f"`{card['command']}`, seed {', '.join(map(str, card['seeds']))}, {card['date']}, commit {card['commit']}, "
        f"on {card['machine']}; {card['minutes']:.1f} minutes of training, {card['parameters']:,} parameters. "
        "All questions are held out: pictures, values, handwriting and sizes that training never draws."
    )


def stage_table(card: Card) -> str:
    """What each stage took, and the mean of the seven afterwards with the interval that so few questions allow."""
    rows = []
    for name, row in card["stages"].items():
        after = "–"
        if row.get("mean") is not None:
            half = Z * (row["mean"] * (1 - row["mean"]) / row["n"]) ** 0.5
            after = f"{percent(row['mean'])} (± {100 * half:.0f})"
        asked = row.get("asked_as") or "–"
        rows.append([name, STAGES[name].about, f"{row['steps']:,}", f"{row['minutes']:.1f}", asked, after])
    head = ["stage", "what", "steps", "minutes", "asked as", "mean of the seven afterwards"]
    return "## After each stage\n\n" + table(head, rows)


def benchmark_table(card: Card) -> str:
    rows = []
    for name, row in card["benchmarks"].items():
        tasks = ", ".join(f"{task} {100 * card['tasks'][task]['score']:.0f}" for task in row["tasks"])
        shares = [percent(row[share]) for share in ("blind", "chance", "prior")]
        rows.append([f"{name}: {tasks}", percent(row["score"]), interval(*row["interval"]), *shares])
    row = card["mean"]
    shares = [f"**{percent(row['blind'])}**", percent(row["chance"]), percent(row["prior"])]
    rows.append(["**mean**", f"**{percent(row['score'])}**", interval(*row["interval"]), *shares])
    head = ["mini-benchmark and its tasks (%)", "score", "95 % interval", "blind", "chance", "prior"]
    return f"## The seven mini-benchmarks (asked as: {card['form']})\n\n" + table(head, rows)


def thinking(card: Card) -> str:
    """Right answers against the room for thinking: with all tasks that are asked, and with those that show pictures."""
    found = card["test_time_scaling"]
    seen = {task: row for task, row in found["tasks"].items() if task != "arithmetic"}
    rows = [[name, *(percent(share) for share in row)] for name, row in found["tasks"].items()]
    rows.append(
        ["mean of those with pictures", *(percent(mean(column)) for column in zip(*seen.values(), strict=True))]
    )
    head = ["at most so many tokens of thought", *map(str, found["limits"])]
    note = "The model has learnt to think before these questions. Cut off after 0 tokens, it has to answer in a way it "
    note += "never practised, so the left end says little about direct answers."
    return f"## Room for thinking\n\n{table(head, rows)}\n\n{note}"


def reinforcement(card: Card) -> str:
    """The three points of the path: before, when the length reward began, after."""
    found = card["gain"]
    path = [("before", "before"), ("when the length reward began", "before_length"), ("after", "after")]
    rows = [
        [name, f"{100 * found[key]['pass@1']:.1f} %", interval(*found[key]["interval"]), f"{found[key]['tokens']:.1f}"]
        for name, key in path
        if key in found
    ]
    gain = found["gain"]
    low, high = (points(bound) for bound in gain["interval"])
    before, after = (percent(card["stages"][stage].get("mean")) for stage in ("longcot", "rl"))
    return (
        "## Reinforcement learning\n\n"
        + table(["", "pass@1", "95 % interval", "tokens of a response"], rows)
        + f"\n\nGain: {points(gain['pass@1'])} points ({low} to {high}) on {found['problems']} held-out sums, "
        + f"{found['samples']} tries each. It trains on sums and arithmetic alone: the mean of the seven reads "
        + f"{before} before and {after} after."
    )


def needles(card: Card) -> str:
    found = card["needle_map"]
    rows = [[f"{n} tokens", percent(mean(row))] for n, row in zip(found["lengths"], found["recall"], strict=True)]
    return "## Needles in long texts, at the end\n\n" + table(["length", "found"], rows)


READING = """## How to read this

*Blind* is the same model without the picture. *Chance* is a uniform guess among all answers that 300 training samples
give to that kind of question; of a point, anywhere on the screen. *Prior* is the commonest of those answers. A point
after a stage comes from ten questions a task, those of the last table from forty: stages a few points apart cannot be
told apart. One run of one seed; other seeds and machines, and what was tried, are in [log.md](log.md).

What is *not* shown here: the model has seen nothing but this drawn world, and would be lost in a photograph. Its
language model was made before the last mending of what is held out: 76 pairs of thing and place, 26 words and 14
pairs of picture and background that are held out stood in its text, in words ([log.md](log.md) says what a new one
gives). A quarter of the sums are of one digit, and columns of training sums have them."""


if __name__ == "__main__":
    print(results_page(read_json(SHIPPED / (sys.argv[1] if len(sys.argv) > 1 else "small") / "card.json")), end="")
