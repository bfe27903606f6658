"""`minikimi long2short`: three ways to make a model that thinks long think shorter (lesson 14)."""

from __future__ import annotations

import argparse
from pathlib import Path

from minikimi.cli.parser import Verb, number, whole
from minikimi.errors import UserError

NOTE = """examples:
  minikimi long2short average runs/small/rl runs/small/sft runs/averaged
  minikimi long2short reject runs/small/rl runs/short.jsonl --task sum
  minikimi train --stage longcot --from runs/small/rl/model --run runs/short --data.solutions=runs/short.jsonl
  minikimi long2short dpo runs/small/rl runs/preferred --task sum"""


def add_average_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("long", help="a model that thinks long")
    parser.add_argument("short", help="a model of the same shape that answers short")
    parser.add_argument("out", help="directory to write")
    parser.add_argument("--weight", type=number(0, 1), default=0.5, help="share of the first model (default: 0.5)")


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a finished run or model directory")
    parser.add_argument("out", help="what to write")
    parser.add_argument("--task", default="sum", help="task of the picture world (default: sum)")
    parser.add_argument("--problems", type=whole(1, 10**6), default=256, help="how many are tried (default: 256)")
    what = "solutions tried for each problem (default: 8)"
    parser.add_argument("--samples", type=whole(1, 1000), default=8, help=what)
    what = "the longest solution, in tokens (default: 128)"
    parser.add_argument("--max-new-tokens", type=whole(1, 10**6), default=128, help=what)
    what = "of the problems and of the solutions tried (default: 17)"
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=17, help=what)


def add_dpo_options(parser: argparse.ArgumentParser) -> None:
    add_sampling_options(parser)
    parser.add_argument("--steps", type=whole(1, 10**6), default=50, help="of training (default: 50)")
    parser.add_argument("--lr", type=number(0, 1), default=3e-4, help="learning rate (default: 3e-4)")
    what = "how far the model may move from where it began: the higher, the less (default: 0.1)"
    parser.add_argument("--beta", type=number(0, 1000), default=0.1, help=what)


def refuse_existing(path: Path) -> None:
    """Raise `UserError` if there is something in the place of what is to be written."""
    if path.exists():
        raise UserError(f"{path} exists already; give a new name")


def average(options: argparse.Namespace) -> int:
    from minikimi.processor.processor import Processor
    from minikimi.rl import average

    refuse_existing(Path(options.out))
    model = average.average(options.long, options.short, options.weight)
    Processor.from_pretrained(options.long).save_pretrained(options.out)
    model.save_pretrained(options.out)
    print(f"written: {options.out}")
    return 0


def reject(options: argparse.Namespace) -> int:
    from minikimi.data.solutions import save_solutions
    from minikimi.loading import load
    from minikimi.rl.rejection import verified_solutions
    from minikimi.world import PictureWorld

    refuse_existing(Path(options.out))
    world = PictureWorld(options.seed, "train", {options.task: 1.0})
    model, processor = load(options.model)
    found = verified_solutions(
        model, processor, world, options.problems, options.samples, options.max_new_tokens, shortest=True
    )
    if not found:
        raise UserError(f"none of {options.problems} problems was solved; nothing written")
    save_solutions(Path(options.out), found)
    print(f"{len(found)} of {options.problems} problems solved: {options.out}")
    return 0


def prefer(options: argparse.Namespace) -> int:
    from minikimi.loading import load
    from minikimi.rl.passk import sample_groups
    from minikimi.rl.preferences import preference_pairs, train_dpo
    from minikimi.rl.rejection import VERIFIED
    from minikimi.rl.rollout_settings import RolloutSettings
    from minikimi.world import PictureWorld

    refuse_existing(Path(options.out))
    world = PictureWorld(options.seed, "train", {options.task: 1.0})
    settings = RolloutSettings(samples=options.samples, max_new_tokens=options.max_new_tokens, rewards=VERIFIED)
    model, processor = load(options.model)
    problems = [world[i] for i in range(options.problems)]
    groups = sample_groups(model, processor, problems, settings, (options.seed, 2))
    pairs = [pair for group in groups for pair in preference_pairs(group)]
    trained = train_dpo(options.model, pairs, options.steps, options.lr, beta=options.beta)
    processor.save_pretrained(options.out)
    trained.save_pretrained(options.out)
    print(f"{len(pairs)} pairs, {options.steps} steps: {options.out}")
    return 0


SHORTEST = "write the shortest of 8 correct solutions of each problem, for SFT"
PREFERENCE = "train to prefer the shortest correct solution of each problem"
LONG2SHORT = Verb(
    "long2short",
    "make a thinking model think shorter: average, reject or dpo",
    note=NOTE,
    verbs=(
        Verb("average", "the mean of two models' weights", average, add_average_options),
        Verb("reject", SHORTEST, reject, add_sampling_options),
        Verb("dpo", PREFERENCE, prefer, add_dpo_options),
    ),
)
