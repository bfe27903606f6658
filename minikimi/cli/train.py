"""`minikimi train`: all stages of a preset, or one of them; then evaluation and report (lessons 10 to 14)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from minikimi.cli.parser import Verb
from minikimi.errors import nearest
from minikimi.model.config import PRESETS
from minikimi.training.stages import STAGES, chosen, stage_help, start_directory


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="small", choices=list(PRESETS), help="size and settings (default: small)")
    parser.add_argument("--stage", help="only this stage, or long for both long ones (default: all, then report)")
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
    start = start_directory(options.start)
    stages = chosen(options.stage, options.preset, start)
    if options.help_stage:
        from minikimi.training.lightning_cli import print_settings

        print_settings(options.preset, stages[-1])
        return 0
    from minikimi.recipe import train_recipe

    directory = Path(options.directory or f"runs/{options.preset}")
    more = {"resume": options.resume, "overwrite": options.overwrite, "overrides": options.rest}
    train_recipe(options.preset, stages, directory, start, **more)
    if not options.stage:
        from minikimi.cli.evaluate import report

        command = " ".join(["minikimi", *sys.argv[1:]])
        report(directory, options.preset, command, STAGES[stages[-1]].asked_as or "chat")
    return 0


NOTE = f"""stages:
{stage_help()}

Any setting of a stage can follow (--help-stage lists them), e.g. --model.lr=1e-3 --trainer.max_steps=50."""

TRAIN = Verb(
    "train",
    "train all stages of a preset, or one",
    run,
    add_options,
    NOTE,
    passes_on=True,
)
