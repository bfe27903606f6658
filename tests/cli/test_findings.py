"""`minikimi findings`: options reach the measurement; what does not exist is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minikimi.cli import main
from minikimi.findings import measure


@pytest.mark.parametrize(("quick", "seeds"), [([], 3), (["--quick"], 1), (["--quick", "--seeds", "2"], 2)])
def test_seeds(quick: list[str], seeds: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(measure, "run", lambda *arguments: calls.append(arguments))
    assert main(["findings", "muon", "--out", str(tmp_path), *quick]) == 0
    assert calls[0][:5] == (["muon"], tmp_path, seeds, bool(quick), 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["moun"], "unknown finding 'moun' (did you mean muon?)"),
        (["--seeds", "0"], "--seeds 0: give a whole number from 1"),
        (["--workers", "10000"], "--workers 10000: give a whole number from 1 to 256"),
    ],
)
def test_what_cannot_be_measured(options: list[str], words: str, refused: Callable[..., str]) -> None:
    assert words in refused("findings", *options)
