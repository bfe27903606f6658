"""`minikimi data show`: a page of samples to look at (lesson 09)."""

from __future__ import annotations

import argparse
from pathlib import Path

from minikimi.cli.parser import Verb, whole


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--count", type=whole(1, 1000), default=24, help="how many samples (default: 24)")
    parser.add_argument("--seed", type=whole(0, 2**32 - 1), default=0, help="another seed draws others (default: 0)")
    what = "what training draws, or what it never does (default: train)"
    parser.add_argument("--split", choices=["train", "held_out"], default="train", help=what)
    parser.add_argument("--task", help="only this task")
    what = "the picture to write (default: runs/contact_sheet.png)"
    parser.add_argument("--out", default="runs/contact_sheet.png", help=what)


def show(options: argparse.Namespace) -> int:
    from minikimi.data.contact_sheet import contact_sheet
    from minikimi.world import PictureWorld

    world = PictureWorld(options.seed, options.split, {options.task: 1.0} if options.task else None)
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet([world[i] for i in range(options.count)], out)
    print(f"{options.count} samples: {out}")
    return 0


DATA = Verb(
    "data",
    "look at the training data",
    verbs=(Verb("show", "draw a page of samples", show, add_options),),
)
