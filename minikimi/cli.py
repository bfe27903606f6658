"""The command line: train, evaluate, chat, data, bench, export, doctor. Each verb imports what it needs, so `--help`
answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from minikimi.configs import presets, settings
from minikimi.errors import UserError
from minikimi.findings.command import add_options as add_findings_options
from minikimi.findings.command import findings
from minikimi.training.stages import stage_help


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb. Bad input ends in one line on stderr and exit code 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb, rest = parse(arguments)
    try:
        return verb.call(verb, rest)
    except UserError as error:
        print(f"minikimi: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("minikimi: stopped; what was finished is kept, train --resume goes on", file=sys.stderr)
        return 130


def parse(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The verb with its options, and for `train` and `bench` the options that are passed on."""
    parser = argparse.ArgumentParser(prog="minikimi", description="Kimi-VL rebuilt from scratch.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    train_parser = verbs.add_parser(
        "train",
        help="train all stages of a preset, or one",
        epilog=TRAIN_NOTE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train_parser.add_argument("--preset", default="small", help=f"size and settings: {', '.join(presets())}")
    train_parser.add_argument("--stage", help="only this stage (default: all, then evaluation and report)")
    train_parser.add_argument("--from", dest="start", metavar="DIR", help="model directory to start from")
    train_parser.add_argument(
        "--run", dest="run_directory", metavar="DIR", help="where the run lands (default: runs/PRESET)"
    )
    train_parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    train_parser.add_argument("--overwrite", action="store_true", help="start again, deleting the stages of an old run")
    train_parser.add_argument("--help-stage", action="store_true", help="list every setting of a stage")
    train_parser.set_defaults(call=train, passes_on=True)

    evaluate_parser = verbs.add_parser(
        "evaluate",
        help="evaluate a finished run and write its report",
        epilog="Results are written into RUN; those of a model that is no run go to runs/evaluate-NAME.",
    )
    what = "a finished run, an official directory, or the shipped `small` (default: runs/small)"
    evaluate_parser.add_argument("run_directory", metavar="RUN", nargs="?", default="runs/small", help=what)
    evaluate_parser.add_argument("--preset", help="take the settings of this preset (default: found by config.json)")
    what = "chat, think (asked to), document (base), told (in words); with --benchmark: chat or think"
    evaluate_parser.add_argument("--form", default="chat", help=what)
    evaluate_parser.add_argument("--benchmark", metavar="NAME", help="a real benchmark instead, e.g. mmmu")
    evaluate_parser.add_argument("--limit", type=int, help="with --benchmark: only the first so many rows")
    evaluate_parser.add_argument("--data", metavar="PATH", help="with --benchmark: local data, instead of the Hub")
    evaluate_parser.add_argument("--max-new-tokens", type=int, help="with --benchmark: default 64, or 1024 to think")
    evaluate_parser.set_defaults(call=evaluate, passes_on=False)

    chat_parser = verbs.add_parser("chat", help="ask a question about a picture")
    chat_parser.add_argument("image", help="a picture file")
    chat_parser.add_argument("question")
    chat_parser.add_argument("--model", default="small", help="a run, an official directory, or the shipped `small`")
    chat_parser.add_argument("--max-new-tokens", type=int, default=64)
    chat_parser.add_argument("--temperature", type=float, default=0.0)
    chat_parser.set_defaults(call=chat, passes_on=False)

    data_parser = verbs.add_parser("data", help="look at the training data")
    data_parser.add_argument("action", choices=["show"])
    data_parser.add_argument("--count", type=int, default=24)
    data_parser.add_argument("--seed", type=int, default=0)
    data_parser.add_argument("--split", choices=["train", "held_out"], default="train")
    data_parser.add_argument("--task", help="only this task")
    data_parser.add_argument("--out", default="runs/contact_sheet.png")
    data_parser.set_defaults(call=data_show, passes_on=False)

    findings_parser = verbs.add_parser("findings", help="measure the papers' claims again at toy scale")
    add_findings_options(findings_parser)
    findings_parser.set_defaults(call=findings, passes_on=False)

    bench_parser = verbs.add_parser(
        "bench", help="measure speed ratios against what one would use instead", add_help=False
    )
    bench_parser.set_defaults(call=bench, passes_on=True)

    export_parser = verbs.add_parser("export", help="write a finished run as an official model directory")
    export_parser.add_argument("model", help="a finished run or an official directory")
    export_parser.add_argument("directory", help="where to write")
    export_parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
    export_parser.set_defaults(call=export, passes_on=False)

    shorten_parser = verbs.add_parser(
        "long2short", help="make a thinking model think shorter: average, reject or dpo", add_help=False
    )
    shorten_parser.set_defaults(call=long2short, passes_on=True)

    doctor_parser = verbs.add_parser("doctor", help="print what to paste when asking for help")
    doctor_parser.set_defaults(call=doctor, passes_on=False)

    options, rest = parser.parse_known_args(arguments)
    if rest and not options.passes_on:
        parser.error(f"unknown argument {rest[0]}")
    return options, rest


TRAIN_NOTE = f"""stages:
{stage_help()}

Any setting of a stage can follow (--help-stage lists them), e.g. --model.lr=1e-3 --trainer.max_steps=50."""


def train(options: argparse.Namespace, overrides: list[str]) -> int:
    from minikimi.training.stages import STAGES, chosen, start_directory

    start = start_directory(options.start)
    stages = chosen(options.stage, options.preset, start)
    for stage in stages:
        settings(options.preset, stage)
    if options.help_stage:
        from minikimi.training.lightning_cli import print_settings

        print_settings(options.preset, stages[-1])
    run = Path(options.run_directory or f"runs/{options.preset}")
    from minikimi.recipe import train_recipe

    more = {"resume": options.resume, "overwrite": options.overwrite, "overrides": overrides}
    train_recipe(options.preset, stages, run, start, **more)
    if not options.stage:
        form = STAGES[stages[-1]].asked_as or "chat"
        report(run, options.preset, " ".join(["minikimi", *sys.argv[1:]]), form)
    return 0


def evaluate(options: argparse.Namespace, _: list[str]) -> int:
    from minikimi.evaluation.facts import preset_of

    run = Path(options.run_directory)
    if options.benchmark:
        data = Path(options.data) if options.data else None
        return benchmark(run, options.benchmark, data, options.limit, options.form, options.max_new_tokens)
    if options.data or options.limit is not None or options.max_new_tokens is not None:
        raise UserError("--data, --limit and --max-new-tokens belong to --benchmark NAME; add it")
    form = "" if options.form == "chat" else f" --form {options.form}"
    report(run, options.preset or preset_of(run), f"minikimi evaluate {run}{form}", options.form)
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


def report(run: Path, preset: str, command: str, form: str = "chat") -> None:
    """Evaluate, print the table, write the report."""
    from rich.console import Console

    from minikimi.evaluation.evaluate import evaluate_run
    from minikimi.evaluation.facts import results_directory
    from minikimi.files import model_directory
    from minikimi.report.report import write_report
    from minikimi.report.score_table import results_table

    result = evaluate_run(run, preset, command, form)
    console = Console()
    console.print(results_table(result))
    console.print(
        f"training {result['minutes']:.1f} min, peak memory {result['peak_memory_gib']:.2f} GiB, {result['machine']}"
    )
    console.print(f"report: {write_report(results_directory(run), model_directory(run))}", soft_wrap=True)


def chat(options: argparse.Namespace, _: list[str]) -> int:
    from minikimi.files import model_directory
    from minikimi.model.kimi_vl import KimiVL
    from minikimi.processor.images.open_image import open_image
    from minikimi.processor.processor import Processor

    image = open_image(options.image)  # before the model, so that a bad path answers at once
    directory = model_directory(options.model)
    model, processor = KimiVL.from_pretrained(directory), Processor.from_pretrained(directory)
    content = [{"type": "image", "image": image}, {"type": "text", "text": options.question}]
    inputs = processor([{"role": "user", "content": content}], add_generation_prompt=True)
    ids = model.generate(**inputs, max_new_tokens=options.max_new_tokens, temperature=options.temperature)
    print(processor.decode(ids[0]))
    return 0


def data_show(options: argparse.Namespace, _: list[str]) -> int:
    from minikimi.data.contact_sheet import contact_sheet
    from minikimi.world import TASKS, PictureWorld

    if options.task and options.task not in TASKS:
        raise UserError(f"unknown task {options.task!r}; choose one of {', '.join(TASKS)}")
    if options.count < 1:
        raise UserError(f"--count {options.count}: give at least 1")
    world = PictureWorld(options.seed, options.split, {options.task: 1.0} if options.task else None)
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet([world[i] for i in range(options.count)], out)
    print(f"{options.count} samples: {out}")
    return 0


def bench(_: argparse.Namespace, rest: list[str]) -> int:
    from minikimi.bench import table as module

    return module.main(rest)


def long2short(_: argparse.Namespace, rest: list[str]) -> int:
    from minikimi.rl import long2short as command

    return command.main(rest)


def export(options: argparse.Namespace, _: list[str]) -> int:
    import torch

    from minikimi.files import model_directory
    from minikimi.model.kimi_vl import KimiVL
    from minikimi.processor.processor import Processor
    from minikimi.report.card import write_card

    if os.path.exists(options.directory):
        raise UserError(f"{options.directory} exists already; give a new directory")
    directory = model_directory(options.model)
    model = KimiVL.from_pretrained(directory, dtype=getattr(torch, options.dtype))
    Processor.from_pretrained(directory).save_pretrained(options.directory)
    model.save_pretrained(options.directory)
    write_card(Path(options.model), Path(options.directory))
    print(f"written: {options.directory}")
    return 0


def doctor(_: argparse.Namespace, __: list[str]) -> int:
    from minikimi.lab.doctor import main as diagnose

    return diagnose()


if __name__ == "__main__":
    sys.exit(main())
