"""The verb `minikimi findings`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the verb."""
    parser.add_argument("names", metavar="NAME", nargs="*", help="findings to measure (default: all)")
    parser.add_argument("--out", default="runs/findings", help="where results land (default: runs/findings)")
    parser.add_argument("--seeds", type=int, help="seeds of each finding (default: 3; 1 with --quick)")
    parser.add_argument("--workers", type=int, default=1, help="processes of one thread each (default: 1)")
    parser.add_argument("--run", default="runs/small", help="a trained run to lay beside them (default: runs/small)")
    parser.add_argument("--quick", action="store_true", help="a few steps each, to try the machinery")


def findings(options: argparse.Namespace, _: list[str]) -> int:
    """Measure, print one line each, and say where the results are."""
    from minikimi.findings.measure import console, run

    out = Path(options.out)
    command = " ".join(["minikimi", *sys.argv[1:]])
    seeds = (1 if options.quick else 3) if options.seeds is None else options.seeds
    run(options.names, out, seeds, options.quick, options.workers, command, Path(options.run))
    console.print(f"written: {out}/findings.html, findings.md, findings.json")
    return 0
