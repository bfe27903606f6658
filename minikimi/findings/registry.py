"""The findings by name, in the order of the table; each is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module

from minikimi.errors import unknown
from minikimi.findings.finding import Finding

NAMES = (
    "muon", "decay", "update_rms", "svd_entropy", "muon_sft", "balance", "resolution", "needle", "cot", "rl",
    "length_penalty", "test_time",
)  # fmt: skip


def load(name: str) -> Finding:
    """The finding of that name. Raises `UserError` if there is none."""
    if name not in NAMES:
        raise unknown("finding", name, NAMES)
    return Finding.of(name, import_module(f"minikimi.findings.{name}"))
