"""`minikimi evaluate`: the mini-benchmarks with their report, or one real benchmark (lesson 15)."""

from __future__ import annotations

import argparse
from pathlib import Path

from minikimi.cli.parser import Verb, whole
from minikimi.errors import UserError
from minikimi.model.config import PRESETS


def add_options(parser: argparse.ArgumentParser) -> None:
    what = "a finished run, an official directory, or the shipped `small` (default: runs/small)"
    parser.add_argument("directory", metavar="RUN", nargs="?", default="runs/small", help=what)
    what = "take the settings of this preset (default: found by config.json)"
    parser.add_argument("--preset", choices=list(PRESETS), help=what)
    what = "chat, think (asked to), document (base), told (in words); with --benchmark: chat or think"
    parser.add_argument("--form", default="chat", choices=["chat", "think", "document", "told"], help=what)
    parser.add_argument("--benchmark", metavar="NAME", help="a real benchmark instead, e.g. mmmu")
    parser.add_argument("--limit", type=whole(1, 10**9), help="with --benchmark: only the first so many rows")
    parser.add_argument("--data", metavar="PATH", help="with --benchmark: local data, instead of the Hub")
    what = "with --benchmark: default 64, or 1024 to think"
    parser.add_argument("--max-new-tokens", type=whole(1, 10**6), help=what)


def run(options: argparse.Namespace) -> int:
    from minikimi.evaluation.facts import preset_of

    directory = Path(options.directory)
    if options.benchmark:
        data = Path(options.data) if options.data else None
        return benchmark(directory, options.benchmark, data, options.limit, options.form, options.max_new_tokens)
    if options.data or options.limit is not None or options.max_new_tokens is not None:
        raise UserError("--data, --limit and --max-new-tokens belong to --benchmark NAME; add it")
    form = "" if options.form == "chat" else f" --form {options.form}"
    report(directory, options.preset or preset_of(directory), f"minikimi evaluate {directory}{form}", options.form)
    return 0


def benchmark(
    model: Path, name: str, data: Path | None, limit: int | None, form: str, max_new_tokens: int | None
) -> int:
    """Run one real benchmark and print its table."""
    from rich.console import Console

    from minikimi.benchmarks.harness import benchmark_table, evaluate_benchmark

    result, path = evaluate_benchmark(model, name, data, limit, form, max_new_tokens)
    Console().print(benchmark_table(result))
    print(f"written: {path}")
    return 0


def report(directory: Path, preset: str, command: str, form: str = "chat") -> None:
    """Evaluate a run, print the table, write the report."""
    from rich.console import Console

    from minikimi.evaluation.evaluate import evaluate_run
    from minikimi.evaluation.facts import results_directory
    from minikimi.files import model_directory
    from minikimi.report.report import write_report
    from minikimi.report.score_table import results_table

    result = evaluate_run(directory, preset, command, form)
    console = Console()
    console.print(results_table(result))
    console.print(
        f"training {result['minutes']:.1f} min, peak memory {result['peak_memory_gib']:.2f} GiB, {result['machine']}"
    )
    console.print(f"report: {write_report(results_directory(directory), model_directory(directory))}", soft_wrap=True)


EVALUATE = Verb(
    "evaluate",
    "evaluate a finished run and write its report",
    run,
    add_options,
    "Results are written into RUN; those of a model that is no run go to runs/evaluate-NAME.",
)
