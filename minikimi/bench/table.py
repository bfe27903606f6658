"""`minikimi bench`: how fast is this library, next to what one would use instead? (lesson 17)

Only ratios are reported, each from one run on one machine: first both sides must give the same result, then they are
timed in turns (ours, theirs, ours, theirs, ...), so that a busy moment hits both. The ratio is of the medians; the
spread is that of the single turns. Where a peer has several settings, the fastest of them counts.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import torch
from rich.table import Table

from minikimi import files
from minikimi.bench.cases import CASES, Comparison, Results
from minikimi.errors import UserError

WARM_UPS = 2


@dataclass
class Row:
    """One line of the table. `ratio` is peer time / our time, `low` and `high` its range over the turns; times in s.

    `status` is "ok", "FAILED" (the results differ, nothing was timed) or "skipped" (`note` says why).
    """

    name: str
    what: str
    status: str
    note: str = ""
    difference: float | None = None
    tolerance: float | None = None
    peer: str = ""
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    ours_seconds: float | None = None
    peer_seconds: float | None = None


def difference(ours: Results, theirs: Results) -> float:
    """Largest ||a - b|| / ||b|| over the results. Raises `ValueError` if the two sides name different results."""
    if set(ours) != set(theirs):
        raise ValueError(f"the two sides return different results: {sorted(set(ours) ^ set(theirs))[:4]}")
    return max(_relative(ours[name].double(), theirs[name].double()) for name in ours)


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    distance = ((a - b).norm() / b.norm().clamp(min=1e-30)).item()
    return distance if distance == distance else float("inf")  # not-a-number never passes


def time_in_turns(sides: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Seconds of each side in each of `repeats` rounds; in a round every side runs once."""
    seconds: list[list[float]] = [[] for _ in sides]
    for round_ in range(-WARM_UPS, repeats):
        for side, times in zip(sides, seconds, strict=True):
            start = time.perf_counter()
            side()
            if round_ >= 0:
                times.append(time.perf_counter() - start)
    return seconds


def measure(case: Comparison, repeats: int) -> Row:
    """Check that all sides agree, then time them. A disagreement gives a FAILED row without times."""
    ours = {name: value.clone() for name, value in case.ours().items()}
    worst = max(difference(ours, peer()) for peer in case.peers.values())
    if not worst <= case.tolerance:
        note = f"results differ by {worst:.1e}"
        return Row(case.name, case.what, "FAILED", note, worst, case.tolerance)
    own, *others = time_in_turns([case.ours, *case.peers.values()], repeats)
    peer, times = min(zip(case.peers, others, strict=True), key=lambda pair: statistics.median(pair[1]))
    ratios = [b / a for a, b in zip(own, times, strict=True)]
    mine, theirs = statistics.median(own), statistics.median(times)
    return Row(case.name, case.what, "ok", "", worst, case.tolerance, peer, theirs / mine, min(ratios), max(ratios),
               mine, theirs)  # fmt: skip


def run(preset: str, repeats: int, names: Sequence[str] = tuple(CASES)) -> list[Row]:
    """Measure the named cases one after another; a peer that is not installed gives a skipped row."""
    rows = []
    for name in names:
        try:
            rows.append(measure(CASES[name](preset), repeats))
        except ModuleNotFoundError as error:
            note = f"{error.name} is not installed; pip install {error.name}"
            rows.append(Row(name, CASES[name].__doc__ or "", "skipped", note))
    return rows


def machine() -> str:
    """One line on what the ratios were measured on."""
    return (
        f"{platform.machine()} {cpu_name()}, {os.cpu_count()} CPUs, {torch.get_num_threads()} threads, "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )


def cpu_name() -> str:
    """The processor as Linux names it, else what Python knows."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def ratio_table(rows: Sequence[Row], preset: str) -> Table:
    """The rows for the terminal."""
    table = Table(title=f"minikimi bench, preset {preset}: peer time / our time")
    for header in ("case", "times faster", "min - max", "difference", "best peer"):
        table.add_column(header, justify="left" if header in ("case", "best peer") else "right")
    for row in rows:
        ratio, spread = row.status, ""
        if row.ratio is not None:
            ratio, spread = f"{row.ratio:.2f}", f"{row.low:.2f} - {row.high:.2f}"
        gap = "" if row.difference is None else f"{row.difference:.0e}"
        table.add_row(row.name, ratio, spread, gap, row.note or row.peer)
    return table


BEGIN, END = "<!-- minikimi bench -->", "<!-- end -->"  # what stands between them is written, the rest is kept


def write_page(path: Path, rows: Sequence[Row], preset: str, repeats: int) -> None:
    """Put the rows, as a table, between the two marks of a Markdown page. Raises `UserError` if they are not there."""
    page = files.read_text(path)
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise UserError(f"{path}: no line {BEGIN} with {END} behind it; add both where the table belongs")
    lines = ["| case | against | times faster | lowest to highest |", "|---|---|---|---|"]
    for row in rows:
        found = (
            f"{row.ratio:.2f} | {row.low:.2f}–{row.high:.2f}" if row.ratio is not None else f"{row.status} | {row.note}"
        )
        lines.append(f"| {row.what} | {row.peer} | {found} |")
    told = f"Preset {preset}, {repeats} turns, {date.today().isoformat()}, {machine()}."
    files.write_text(path, f"{before}{BEGIN}\n{told}\n\n" + "\n".join(lines) + f"\n{END}{after}")


def write_json(path: Path, rows: Sequence[Row], preset: str, repeats: int) -> None:
    """Write the measurement, all or nothing."""
    content = {"machine": machine(), "preset": preset, "repeats": repeats, "rows": [asdict(row) for row in rows]}
    files.write_json(path, content, indent=2)
