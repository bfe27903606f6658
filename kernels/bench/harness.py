"""The benchmark harness: correctness first, then the time, against two ceilings and the best peer of the same run.

A row is honest only in company: the ceilings (a large cuBLAS product, a large device copy) and the peers are timed in
the same process on the same card, and a peer that is not installed is named with the reason (lesson 16).
"""

import math
import statistics
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property

import torch

PHYSICAL_LIMITS = {"H100": (989e12, 3.35e12), "H200": (989e12, 4.8e12)}
"""Data-sheet limits by GPU name (SXM parts): dense bf16 FLOP/s and bytes/s of device memory."""

L2_FLUSH_BYTES = 256 * 2**20
LAUNCH_COVER_CYCLES = 1_000_000  # about 0.6 ms of GPU idling, during which the CPU queues the launches


def time_ms(fn: Callable[[], object], budget_ms: float = 250.0) -> float:
    """Median time of `fn` in milliseconds by CUDA events, after warm-up, with a cold L2 and launches already queued."""
    flush = torch.empty(L2_FLUSH_BYTES, dtype=torch.int8, device="cuda")
    _one_ms(fn, flush)  # compiles
    first = _one_ms(fn, flush)
    repeats = max(3, min(50, int(budget_ms / max(first, 1e-3))))
    for _ in range(min(5, repeats) if first < 100 else 0):
        fn()
    return statistics.median(_one_ms(fn, flush) for _ in range(repeats))


def _one_ms(fn: Callable[[], object], flush: torch.Tensor) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    flush.zero_()
    torch.cuda._sleep(LAUNCH_COVER_CYCLES)
    start.record()
    fn()
    end.record()
    end.synchronize()
    return start.elapsed_time(end)


@dataclass
class Row:
    """One line of the table; times in milliseconds, None where nothing was measured."""

    kernel: str
    shape: str
    error: float
    tolerance: float
    ms: float | None = None
    tflops: float | None = None
    gbytes: float | None = None
    items: float | None = None
    item_unit: str = ""
    ceiling_percent: float | None = None
    limit_ms: float | None = None
    peers_ms: dict[str, float] = field(default_factory=dict)
    peers_missing: dict[str, str] = field(default_factory=dict)
    note: str = ""
    failure: str = ""

    @property
    def best_peer(self) -> str | None:
        return min(self.peers_ms, key=self.peers_ms.__getitem__) if self.peers_ms else None


class Bench:
    """Collects rows. `device` is where inputs belong; `interpret` means tiny shapes and no times."""

    def __init__(self) -> None:
        self.interpret = not torch.cuda.is_available()
        self.device = torch.device("cpu" if self.interpret else "cuda")
        self.rows: list[Row] = []
        self.notes: list[str] = []

    @cached_property
    def ceiling_flops(self) -> float:
        """FLOP/s of an 8192^3 bf16 cuBLAS product on random data (zeros would run faster)."""
        a, b = (torch.randn(8192, 8192, device=self.device, dtype=torch.bfloat16) for _ in range(2))
        return 2 * 8192**3 / (time_ms(lambda: a @ b) * 1e-3)

    @cached_property
    def ceiling_bytes(self) -> float:
        """Bytes/s of a 2 GiB device-to-device copy, bytes read plus bytes written."""
        source = torch.randint(0, 127, (2**31,), dtype=torch.int8, device=self.device)
        target = torch.empty_like(source)
        return 2 * source.numel() / (time_ms(lambda: target.copy_(source)) * 1e-3)

    @cached_property
    def physical(self) -> tuple[float, float] | None:
        name = torch.cuda.get_device_name() if not self.interpret else ""
        return next((limit for key, limit in PHYSICAL_LIMITS.items() if key in name), None)

    @property
    def failed(self) -> bool:
        return any(row.failure for row in self.rows)

    def row(
        self,
        kernel: str,
        shape: str,
        fn: Callable[[], object],
        *,
        error: float,
        tolerance: float,
        flops: float = 0,
        bytes: float = 0,
        items: float = 0,
        item_unit: str = "",
        peers: dict[str, Callable[[], object] | str] | None = None,
        note: str = "",
        limit_ms: float | None = None,
    ) -> Row:
        """Check, time and print one kernel.

        `error` is the relative error against float64 that the caller has measured; NaN or more than `tolerance` makes
        the row FAILED, and it is not timed. `flops` and `bytes` are the work of one call of `fn`, `items` what it
        processes (tokens, matrices). A peer is a callable, or a string that says why it is missing. `limit_ms` is the
        physical limit where `flops` and `bytes` alone do not give it.
        """
        row = Row(kernel, shape, error, tolerance, note=note, item_unit=item_unit)
        self.rows.append(row)
        if math.isnan(error) or error > tolerance:
            row.failure = f"error {error:.2e} > {tolerance:.0e}"
        elif not self.interpret:
            self._measure(row, fn, flops, bytes, items, limit_ms)
        for name, peer in (peers or {}).items():
            self._measure_peer(row, name, peer)
        print(format_row(row), flush=True)
        return row

    def failure(self, kernel: str, error: BaseException) -> None:
        """Record a benchmark that raised, so that the others still run and the exit status still says so."""
        traceback.print_exception(error)
        message = f"{type(error).__name__}: {error}".split("\n")[0][:200]
        self.rows.append(Row(kernel, "", math.nan, 0.0, failure=message))

    def _measure(
        self, row: Row, fn: Callable[[], object], flops: float, nbytes: float, items: float, limit_ms: float | None
    ) -> None:
        try:
            row.ms = time_ms(fn)
        except Exception as error:
            row.failure = f"{type(error).__name__}: {error}".split("\n")[0][:200]
            return
        seconds = row.ms * 1e-3
        row.tflops = flops / seconds / 1e12 if flops else None
        row.gbytes = nbytes / seconds / 1e9 if nbytes else None
        row.items = items / seconds if items else None
        # Neither resource can be used above its ceiling, so the scarcer one is the one that counts.
        ceiling_seconds = max(flops / self.ceiling_flops, nbytes / self.ceiling_bytes)
        row.ceiling_percent = 100 * ceiling_seconds / seconds if ceiling_seconds else None
        row.limit_ms = limit_ms
        if limit_ms is None and self.physical and ceiling_seconds:
            row.limit_ms = 1e3 * max(flops / self.physical[0], nbytes / self.physical[1])

    def _measure_peer(self, row: Row, name: str, peer: Callable[[], object] | str) -> None:
        if isinstance(peer, str):
            row.peers_missing[name] = peer
        elif self.interpret:
            row.peers_missing[name] = "no GPU"
        else:
            try:
                row.peers_ms[name] = time_ms(peer)
            except Exception as error:
                row.peers_missing[name] = f"{type(error).__name__}: {error}".split("\n")[0][:120]

    def as_json(self) -> list[dict[str, object]]:
        return [asdict(row) | {"best_peer": row.best_peer} for row in self.rows]


def speed(row: Row) -> str:
    """The row's rates in the units that it has, e.g. `612 TFLOP/s, 1520 GB/s`."""
    parts = []
    if row.tflops is not None:
        parts.append(f"{row.tflops:.0f} TFLOP/s" if row.tflops >= 10 else f"{row.tflops:.1f} TFLOP/s")
    if row.gbytes is not None:
        parts.append(f"{row.gbytes:.0f} GB/s")
    if row.items is not None:
        parts.append(f"{row.items:,.0f} {row.item_unit}/s")
    return ", ".join(parts) or "-"


def cells(row: Row) -> list[str]:
    """The row as text cells in the order of `COLUMNS`."""
    verdict = f"FAILED: {row.failure}" if row.failure else "ok"
    peer, ratio = "-", "-"
    if row.best_peer is not None:
        peer = f"{row.best_peer} {row.peers_ms[row.best_peer]:.3f}"
        ratio = f"{row.peers_ms[row.best_peer] / row.ms:.2f}x" if row.ms else "-"
    return [
        row.kernel,
        row.shape,
        f"{row.error:.1e}",
        f"{row.ms:.3f}" if row.ms is not None else "-",
        speed(row),
        f"{row.ceiling_percent:.0f}%" if row.ceiling_percent is not None else "-",
        f"{row.limit_ms:.3f}" if row.limit_ms is not None else "-",
        peer,
        ratio,
        verdict,
    ]


COLUMNS = ["kernel", "shape", "error", "ms", "rate", "of ceiling", "limit ms", "best peer ms", "speed-up", "verdict"]


def format_row(row: Row) -> str:
    """One line for the log while the benchmark runs, with every peer and every reason."""
    peers = [f"{name} {ms:.3f} ms" for name, ms in row.peers_ms.items()]
    peers += [f"{name} missing ({why})" for name, why in row.peers_missing.items()]
    return " | ".join(cells(row)) + (f" | peers: {'; '.join(peers)}" if peers else "") + (row.note and f" | {row.note}")


def table(rows: list[Row]) -> str:
    """All rows as one aligned plain-text table."""
    lines = [COLUMNS, *(cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    padded = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([padded[0], "-" * len(padded[0]), *padded[1:]])
