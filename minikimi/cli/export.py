"""`minikimi export`: a finished run as a directory in the official layout (lesson 07)."""

from __future__ import annotations

import argparse
import json
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

    from minikimi.load import load

    if not options.directory or Path(options.directory).exists():
        raise UserError(f"{options.directory or 'the empty name'} exists already; give a new directory")
    model, processor = load(options.model, dtype=getattr(torch, options.dtype))
    processor.save_pretrained(options.directory)
    model.save_pretrained(options.directory)
    write_card(Path(options.model), Path(options.directory))
    print(f"written: {options.directory}")
    return 0


CARD = (
    "preset", "command", "date", "machine", "parameters", "minutes", "stages", "form", "mean", "benchmarks",
    "needle_map", "test_time_scaling",
)  # fmt: skip


def write_card(run: Path, directory: Path) -> None:
    """Copy what is known about a run, its command, seed, scores and gain, to `directory`/card.json."""
    import yaml

    from minikimi.files import write_json

    if not (run / "evaluation.json").is_file():
        return
    known = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    configs = [yaml.safe_load(path.read_text()) for path in sorted(run.glob("*/config.yaml"))]
    seeds = sorted({config["seed_everything"] for config in configs})
    gain = run / "rl" / "gain.json"
    more = {"gain": json.loads(gain.read_text())} if gain.is_file() else {}
    write_json(directory / "card.json", {n: known[n] for n in CARD if n in known} | more | {"seeds": seeds})


EXPORT = Verb("export", "write a finished run as an official model directory", run, add_options)
