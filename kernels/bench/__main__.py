"""`python -m minikimi_kernels.bench [--only muon,moe,...] [--json FILE]`: one script, one table, one JSON (lesson 16).

Without a GPU the correctness half runs in Triton's interpreter on tiny shapes and nothing is timed. The exit status is
1 when any row is wrong or raised.
"""

import argparse
import datetime
import importlib
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before the first import of triton

import triton

from .harness import Bench, table

FILES = ["moe", "attention", "vision", "muon", "loss", "elementwise"]
PEERS = ["liger_kernel", "cut_cross_entropy"]


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; an unknown benchmark name ends with the list of known ones."""
    parser = argparse.ArgumentParser(prog="python -m minikimi_kernels.bench", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(FILES), help=f"comma-separated subset of {','.join(FILES)}")
    parser.add_argument("--json", type=Path, help="write the full results to this file")
    options = parser.parse_args(arguments)
    options.only = [name.strip() for name in options.only.split(",") if name.strip()]
    unknown = [name for name in options.only if name not in FILES]
    if unknown:
        parser.error(f"unknown benchmark {', '.join(unknown)}; known: {', '.join(FILES)}")
    if options.json and not options.json.parent.is_dir():  # before measuring for minutes
        parser.error(f"--json {options.json}: no folder {options.json.parent}; make it first")
    return options


def describe(bench: Bench) -> dict[str, object]:
    """Date, card, versions, ceilings: what a number needs beside it."""
    facts: dict[str, object] = {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "gpu": "none" if bench.interpret else torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "triton": triton.__version__,
    }
    if not bench.interpret:
        facts["ceiling_tflops"] = round(bench.ceiling_flops / 1e12, 1)
        facts["ceiling_gbytes"] = round(bench.ceiling_bytes / 1e9, 1)
    for name in PEERS:
        found = importlib.util.find_spec(name) is not None
        facts[name] = "installed" if found else "not installed"
    return facts


def run_all(bench: Bench, names: list[str]) -> None:
    """Run each benchmark file; one that raises becomes a FAILED row and the others still run."""
    for name in names:
        start = time.perf_counter()
        try:
            importlib.import_module(f".{name}", __package__).run(bench)
        except Exception as error:
            bench.failure(name, error)
        print(f"# {name}: {time.perf_counter() - start:.1f} s", flush=True)


def write_json(path: Path, facts: dict[str, object], bench: Bench) -> None:
    """Write all rows beside the target, then move them into place."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps({"facts": facts, "rows": bench.as_json()}, indent=1) + "\n")
    os.replace(partial, path)


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table, return the exit status."""
    options = parse_arguments(arguments)
    bench = Bench()
    facts = describe(bench)
    print(" | ".join(f"{key} {value}" for key, value in facts.items()))
    if bench.interpret:
        print("No GPU: tiny shapes in Triton's interpreter, correctness only; times and peers need a CUDA card.")
    run_all(bench, options.only)
    print("\n" + table(bench.rows))
    if options.json:
        write_json(options.json, facts, bench)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
