"""`minikimi bench`: speed beside what one would use instead (lesson 17)."""

from __future__ import annotations

import argparse
from pathlib import Path

from minikimi.cli.parser import Verb, whole
from minikimi.errors import UserError, unknown
from minikimi.model.config import PRESETS


def add_options(parser: argparse.ArgumentParser) -> None:
    presets = [name for name in PRESETS if name != "kimi-vl-a3b"]
    parser.add_argument("--preset", default="small", choices=presets, help="size of the model (default: small)")
    parser.add_argument("--repeats", type=whole(1, 10**6), default=7, help="timed rounds of each case (default: 7)")
    parser.add_argument("--only", nargs="+", metavar="CASE", default=[], help="measure these cases only")
    what = "also put the table between the marks of this Markdown page, e.g. docs/speed.md"
    parser.add_argument("--page", type=Path, metavar="FILE", help=what)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows to this file")


def run(options: argparse.Namespace) -> int:
    """Measure and print the table. Returns 1 if any two sides disagree, else 0."""
    from rich.console import Console

    from minikimi.bench.cases import CASES
    from minikimi.bench.table import machine, ratio_table, run, write_json, write_page

    for name in options.only:
        if name not in CASES:
            raise unknown("case", name, CASES)
    if options.json and not options.json.parent.is_dir():
        raise UserError(f"--json {options.json}: no directory {options.json.parent}; create it first")
    rows = run(options.preset, options.repeats, options.only or list(CASES))
    console = Console()
    console.print(ratio_table(rows, options.preset))
    for row in rows:
        console.print(f"{row.name}: {row.what}", highlight=False)
    console.print(machine(), highlight=False)
    if options.page:
        write_page(options.page, rows, options.preset, options.repeats)
    if options.json:
        write_json(options.json, rows, options.preset, options.repeats)
    return int(any(row.status == "FAILED" for row in rows))


BENCH = Verb("bench", "measure speed ratios against what one would use instead", run, add_options)
