"""`minikimi export`: a finished run as a directory in the official layout (lesson 07)."""

from __future__ import annotations

import argparse
from pathlib import Path

from minikimi.cli.parser import Verb
from minikimi.errors import UserError


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a finished run or an official directory")
    parser.add_argument("directory", help="where to write; must not exist yet")
    what = "of the weights that are written (default: bfloat16)"
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16", help=what)


def run(options: argparse.Namespace) -> int:
    import torch

    from minikimi.loading import load
    from minikimi.report.card import write_card

    if not options.directory or Path(options.directory).exists():
        raise UserError(f"{options.directory or 'the empty name'} exists already; give a new directory")
    model, processor = load(options.model, dtype=getattr(torch, options.dtype))
    processor.save_pretrained(options.directory)
    model.save_pretrained(options.directory)
    write_card(Path(options.model), Path(options.directory))
    print(f"written: {options.directory}")
    return 0


EXPORT = Verb("export", "write a finished run as an official model directory", run, add_options)
