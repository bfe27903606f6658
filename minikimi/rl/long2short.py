"""`minikimi long2short`: three ways to make a model that thinks long think shorter (lesson 14)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from minikimi.errors import UserError

NOTE = """examples:
  minikimi long2short average runs/small/rl runs/small/sft runs/averaged
  minikimi long2short reject runs/small/rl runs/short.jsonl --task sum
  minikimi train --stage longcot --from runs/small/rl/model --run runs/short --data.solutions=runs/short.jsonl
  minikimi long2short dpo runs/small/rl runs/preferred --task sum"""


def main(argv: Sequence[str]) -> int:
    """Run one way and say what was written. Raises `UserError` for bad input."""
    options = parse(argv)
    if Path(options.out).exists():
        raise UserError(f"{options.out} exists already; give a new name")
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    print(options.call(options))
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="minikimi long2short", description=__doc__, epilog=NOTE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    ways = parser.add_subparsers(required=True, metavar="WAY")
    averaging = ways.add_parser("average", help="the mean of two models' weights")
    averaging.add_argument("long", help="a model that thinks long")
    averaging.add_argument("short", help="a model of the same shape that answers short")
    averaging.add_argument("out", help="directory to write")
    averaging.add_argument("--weight", type=float, default=0.5, help="share of the first model")
    averaging.set_defaults(call=average_models)
    rejecting = ways.add_parser("reject", help="write the shortest of 8 correct solutions of each problem, for SFT")
    preferring = ways.add_parser("dpo", help="train to prefer the shortest correct solution of each problem")
    for way, call in ((rejecting, reject), (preferring, prefer)):
        way.add_argument("model", help="a finished run or model directory")
        way.add_argument("out", help="what to write")
        way.add_argument("--task", default="sum", help="task of the picture world")
        way.add_argument("--problems", type=int, default=256)
        way.add_argument("--samples", type=int, default=8, help="solutions tried for each problem")
        way.add_argument("--max-new-tokens", type=int, default=128)
        way.add_argument("--seed", type=int, default=17)
        way.set_defaults(call=call)
    preferring.add_argument("--steps", type=int, default=50)
    preferring.add_argument("--lr", type=float, default=3e-4)
    preferring.add_argument("--beta", type=float, default=0.1)
    return parser.parse_args(argv)


def average_models(options: argparse.Namespace) -> str:
    from minikimi.processor.processor import Processor
    from minikimi.rl.average import average

    model = average(options.long, options.short, options.weight)
    Processor.from_pretrained(options.long).save_pretrained(options.out)
    model.save_pretrained(options.out)
    return f"written: {options.out}"


def reject(options: argparse.Namespace) -> str:
    from minikimi.data.solutions import save_solutions
    from minikimi.load import load
    from minikimi.rl.rejection import verified_solutions
    from minikimi.world import PictureWorld

    model, processor = load(options.model)
    world = PictureWorld(options.seed, "train", {options.task: 1.0})
    found = verified_solutions(
        model, processor, world, options.problems, options.samples, options.max_new_tokens, shortest=True
    )
    if not found:
        raise UserError(f"none of {options.problems} problems was solved; nothing written")
    save_solutions(Path(options.out), found)
    return f"{len(found)} of {options.problems} problems solved: {options.out}"


def prefer(options: argparse.Namespace) -> str:
    from minikimi.load import load
    from minikimi.rl.passk import sample_groups
    from minikimi.rl.preferences import preference_pairs, train_dpo
    from minikimi.rl.rejection import VERIFIED
    from minikimi.rl.rollout_settings import RolloutSettings
    from minikimi.world import PictureWorld

    model, processor = load(options.model)
    world = PictureWorld(options.seed, "train", {options.task: 1.0})
    settings = RolloutSettings(samples=options.samples, max_new_tokens=options.max_new_tokens, rewards=VERIFIED)
    problems = [world[i] for i in range(options.problems)]
    groups = sample_groups(model, processor, problems, settings, (options.seed, 2))
    pairs = [pair for group in groups for pair in preference_pairs(group)]
    trained = train_dpo(options.model, pairs, options.steps, options.lr, beta=options.beta)
    processor.save_pretrained(options.out)
    trained.save_pretrained(options.out)
    return f"{len(pairs)} pairs, {options.steps} steps: {options.out}"
