"""`minikimi findings`: the papers' claims, measured again (lesson 15)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from minikimi.cli.parser import Verb, whole


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="*", help="findings to measure (default: all)")
    parser.add_argument("--out", default="runs/findings", help="where results land (default: runs/findings)")
    what = "seeds of each finding (default: 3; 1 with --quick)"
    parser.add_argument("--seeds", type=whole(1, 1000), help=what)
    what = "processes of one thread each (default: 1)"
    parser.add_argument("--workers", type=whole(1, 256), default=1, help=what)
    parser.add_argument("--run", default="runs/small", help="a trained run to lay beside them (default: runs/small)")
    parser.add_argument("--quick", action="store_true", help="a few steps each, to try the machinery")


def run(options: argparse.Namespace) -> int:
    """Measure, print one line each, and say where the results are."""
    from minikimi.findings import measure

    out = Path(options.out)
    command = " ".join(["minikimi", *sys.argv[1:]])
    seeds = (1 if options.quick else 3) if options.seeds is None else options.seeds
    measure.run(options.names, out, seeds, options.quick, options.workers, command, Path(options.run))
    measure.console.print(f"written: {out}/findings.html, findings.md, findings.json")
    return 0


FINDINGS = Verb("findings", "measure the papers' claims again at toy scale", run, add_options)
