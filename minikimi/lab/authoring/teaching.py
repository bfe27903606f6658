"""The generated parts of docs/teaching.md: lesson table, minute plans, and the wrong answers a teacher will meet.

    python -m minikimi.lab.authoring.teaching [--check]

Text between `<!-- generated: NAME -->` and `<!-- end -->` is replaced; the rest of the page is written by hand.
"""

from __future__ import annotations

import argparse
import re
import sys

from minikimi.files import NOTEBOOKS
from minikimi.lab.authoring.build import sources, write
from minikimi.lab.authoring.source import Source
from minikimi.lab.lessons import lesson

PAGE = NOTEBOOKS.parent / "docs" / "teaching.md"
SECTION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.S)
# What comes when, each with its minutes; 0: the lesson's own. A lesson that is only planned is left out.
PLANS: dict[str, list[tuple[str, int]]] = {
    "minutes90": [
        ("talk: what a vision-language model is", 10),
        ("00", 30),
        ("02", 45),
        ("talk: what was hard", 5),
    ],
    "halfday": [
        ("talk: the map of Kimi-VL", 15),
        ("00", 0),
        ("01", 0),
        ("02", 0),
        ("break", 15),
        ("05", 0),
        ("06", 0),
        ("talk: questions", 15),
    ],
    "day1": [
        ("talk: the map of Kimi-VL", 20),
        ("00", 0),
        ("01", 0),
        ("02", 0),
        ("break", 15),
        ("03", 0),
        ("04", 0),
        ("lunch", 60),
        ("05", 0),
        ("06", 0),
        ("break", 15),
        ("07", 0),
        ("talk: questions", 20),
    ],
    "day2": [
        ("talk: how such a model is trained", 20),
        ("08", 0),
        ("09", 0),
        ("10", 0),
        ("break", 15),
        ("11", 0),
        ("lunch", 60),
        ("13", 0),
        ("14", 0),
        ("break", 15),
        ("15", 0),
        ("talk: from toy to 16B", 30),
    ],
}


def lesson_table(all_sources: list[Source]) -> str:
    """One row per lesson: minutes, difficulty, exercises, what it builds."""
    rows = ["| lesson | minutes | difficulty | exercises | builds |", "|---|---|---|---|---|"]
    for s in all_sources:
        h = s.header
        rows.append(
            f"| [{s.number} {h['title']}](../notebooks/{s.name}.ipynb) | {h['minutes']} | {h['difficulty']} of 5 "
            f"| {len(lesson(s.number))} | {h['builds']} |"
        )
    return "\n".join(rows) + "\n"


def plan(name: str, all_sources: list[Source]) -> str:
    """A plan as a table with running minutes."""
    headers = {s.number: s.header for s in all_sources}
    rows, clock = ["| from | to | what |", "|---|---|---|"], 0
    for what, minutes in PLANS[name]:
        if what.isdigit() and what not in headers:
            continue
        if what.isdigit():
            minutes = minutes or headers[what]["minutes"]
            what = f"lesson {what}: {headers[what]['title']}"
        rows.append(f"| {clock} | {clock + minutes} | {what} |")
        clock += minutes
    return "\n".join(rows) + "\n"


def wrong_answers(all_sources: list[Source]) -> str:
    """Per exercise: its minutes, and the wrong answers its check recognises with what it tells the learner."""
    lines = []
    for s in all_sources:
        lines.append(f"### {s.number} {s.header['title']}\n")
        for e in lesson(s.number):
            lines.append(f"**{e.id} {e.title}** ({e.minutes} minutes, difficulty {e.difficulty})\n")
            lines += [f"- *{w.name}*: {w.hint}" for w in e.wrong]
            lines.append("")
    return "\n".join(lines)


def generate(page: str, all_sources: list[Source]) -> str:
    """The page with its generated sections made anew. Raises `KeyError` for an unknown section."""
    made = {"lessons": lesson_table, "wrong": wrong_answers}

    def section(match: re.Match) -> str:
        name = match[2]
        text = plan(name, all_sources) if name in PLANS else made[name](all_sources)
        return f"{match[1]}{text}{match[3]}"

    return SECTION.sub(section, page)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or with --check say whether it is up to date."""
    summary = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m minikimi.lab.authoring.teaching", description=summary)
    parser.add_argument("--check", action="store_true", help="say whether the page is up to date; change nothing")
    options = parser.parse_args(arguments)
    text = generate(PAGE.read_text(), sources([]))
    if options.check:
        current = PAGE.read_text() == text
        print(f"{PAGE.name}: {'up to date' if current else 'stale, run make notebooks'}")
        return int(not current)
    print(f"{PAGE.name}: {'written' if write(PAGE, text) else 'same'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
