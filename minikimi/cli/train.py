"""`minikimi train`: all stages of a preset, or one of them; then evaluation and report (lessons 10 to 14)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from minikimi.cli.parser import Verb
from minikimi.errors import nearest, unknown
from minikimi.model.config import PRESETS


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="small", choices=list(PRESETS), help="size and settings (default: small)")
    parser.add_argument("--stage", help="only this stage (default: all, then evaluation and report)")
    parser.add_argument("--from", dest="start", metavar="DIR", help="model directory to start from")
    parser.add_argument("--run", dest="directory", metavar="DIR", help="where the run lands (default: runs/PRESET)")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--overwrite", action="store_true", help="start again, deleting the stages of an old run")
    parser.add_argument("--help-stage", action="store_true", help="list every setting of a stage")


def run(options: argparse.Namespace) -> int:
    """Check everything, then train."""
    for argument in options.rest:  # what is no option of ours is a setting, unless it looks like one of ours
        if nearest(argument.split("=")[0], ("--preset", "--stage", "--from", "--run", "--resume", "--overwrite"), 0.8):
            options.parser.refuse(argument)
    from minikimi.recipe import ASKED_IN, train_recipe
    from minikimi.training.run import LONG, STAGES, known_stages, stage_config, start_directory, whole_run

    if options.stage and options.stage not in (known := known_stages(options.preset)):
        raise unknown(f"{options.preset} stage", options.stage, known)
    if options.help_stage:
        from minikimi.training.lightning_cli import print_settings

        print_settings(stage_config(options.preset, options.stage or STAGES[-1]))
        return 0
    start = start_directory(options.start)
    one = LONG if options.stage == "long" else (options.stage,)
    stages = one if options.stage else whole_run(options.preset, start)
    directory = Path(options.directory or f"runs/{options.preset}")
    train_recipe(options.preset, stages, directory, start, options.resume, options.overwrite, options.rest)
    if not options.stage:
        from minikimi.cli.evaluate import report

        report(directory, options.preset, " ".join(["minikimi", *sys.argv[1:]]), ASKED_IN[stages[-1]])
    return 0


TRAIN = Verb(
    "train",
    "train all stages of a preset, or one",
    run,
    add_options,
    "Any setting of a stage can follow (--help-stage lists them), e.g. --model.lr=1e-3 --trainer.max_steps=50.",
    passes_on=True,
)
