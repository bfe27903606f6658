"""Measure findings in one process or several, judge them, and write what came out (lesson 15).

A unit of work is one finding with one seed, so three seeds of twelve findings keep many cores busy. Every process uses
one torch thread: the same numbers come out however many there are.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from minikimi.errors import UserError
from minikimi.findings.finding import Measurement, Prepared
from minikimi.findings.registry import NAMES, load

console = Console(highlight=False)
Task = tuple[str, int | None]  # a finding and a seed; None is its preparation
Result = tuple[Any, float]  # what came out, and seconds


def work(name: str, seed: int | None, quick: bool, prepared: Prepared) -> Result:
    """Prepare a finding (`seed` None) or measure it with one seed."""
    finding, begin = load(name), time.perf_counter()
    if seed is not None:
        return finding.measure(seed, quick, prepared), time.perf_counter() - begin
    return (finding.prepare(quick) if finding.prepare else {}), time.perf_counter() - begin


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread inside the block: sums in another order would be other numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def measure_here(names: Sequence[str], seeds: Sequence[int], quick: bool) -> Iterator[tuple[Task, Result]]:
    """One unit after the other in this process."""
    with one_thread():
        for name in names:
            prepared = work(name, None, quick, {})
            yield (name, None), prepared
            for seed in seeds:
                yield (name, seed), work(name, seed, quick, prepared[0])


def measure_in_processes(
    names: Sequence[str], seeds: Sequence[int], quick: bool, workers: int
) -> Iterator[tuple[Task, Result]]:
    """Units as they finish; the seeds of a finding start when its preparation is done."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read by the new processes before they import torch
    with ProcessPoolExecutor(workers, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        waiting: dict[Future[Result], Task] = {pool.submit(work, n, None, quick, {}): (n, None) for n in names}
        while waiting:
            done = next(as_completed(waiting))
            name, seed = waiting.pop(done)
            if seed is None:
                waiting |= {pool.submit(work, name, s, quick, done.result()[0]): (name, s) for s in seeds}
            yield (name, seed), done.result()


def run(
    names: Sequence[str],
    out: Path,
    seeds: int = 3,
    quick: bool = False,
    workers: int = 1,
    command: str = "",
    trained: Path = Path("runs/small"),
) -> dict[str, dict[str, Any]]:
    """Measure `names` (all if empty) with seeds 1 to `seeds` and write into `out`; rows of findings that were measured
    before and not now are kept. `trained` is a run of the whole recipe to lay beside them, if it exists. Returns the
    rows by name.

    Raises `UserError` for an unknown name or a number below 1.
    """
    from minikimi.findings.results import read_rows, write_results
    from minikimi.findings.trained import trained_rows

    names = list(dict.fromkeys(names)) or list(NAMES)
    for name in names:
        load(name)
    if seeds < 1 or workers < 1:
        raise UserError(f"--seeds {seeds} --workers {workers}: both must be at least 1")
    out.mkdir(parents=True, exist_ok=True)
    rows, numbers = read_rows(out), list(range(1, seeds + 1))
    found: dict[str, dict[int, Measurement]] = {name: {} for name in names}
    seconds, beside = dict.fromkeys(names, 0.0), trained_rows(trained)
    units = (
        measure_here(names, numbers, quick) if workers == 1 else measure_in_processes(names, numbers, quick, workers)
    )
    for (name, seed), (result, taken) in units:
        seconds[name] += taken
        if seed is not None:
            found[name][seed] = result
        if len(found[name]) == seeds:
            rows[name] = judged(name, [found[name][s] for s in numbers], quick, seconds[name], command)
            rows[name]["trained"] = beside.get(name, "")
            write_results(out, rows, {name: rows[name]})
            say(rows[name])
    return rows


def judged(name: str, measurements: list[Measurement], quick: bool, seconds: float, command: str) -> dict[str, Any]:
    """The row of a finding: claim, rule, verdict and all measurements."""
    finding = load(name)
    texts = {key: getattr(finding, key) for key in ("name", "title", "claim", "source", "rule")}
    verdict = asdict(finding.judge(measurements))
    run = {"quick": quick, "seconds": round(seconds, 1), "command": command}
    return json.loads(json.dumps({**texts, **verdict, **run, "measurements": measurements}))


def say(row: dict[str, Any]) -> None:
    colour = "green" if row["reproduced"] else "red"
    answer = "yes" if row["reproduced"] else "no"
    console.print(f"[{colour}]{answer:>3}[/] [bold]{row['name']}[/] ({row['seconds']:.0f} s): {row['sentence']}")
