"""`minikimi bench`: bad options end before anything is measured; the exit code is the verdict."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from minikimi.bench import cases
from minikimi.bench.cases import Comparison
from minikimi.cli import main

Captured = pytest.CaptureFixture[str]


def test_it_writes_json_and_returns_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def disagree(preset: str) -> Comparison:
        return Comparison(
            "odd", "1 against 2", lambda: {"x": torch.ones(1)}, {"two": lambda: {"x": torch.ones(1) * 2}}, 0.1
        )

    monkeypatch.setitem(cases.CASES, "muon", disagree)
    path = tmp_path / "bench.json"
    assert main(["bench", "--preset", "nano", "--repeats", "1", "--only", "muon", "--json", str(path)]) == 1
    assert "FAILED" in capsys.readouterr().out
    written = json.loads(path.read_text())
    assert written["rows"][0]["status"] == "FAILED" and "torch" in written["machine"]
    assert [p.name for p in tmp_path.iterdir()] == ["bench.json"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (["--repeats", "0"], "--repeats 0: give a whole number"),
        (["--json", "nowhere/at/all.json"], "--json nowhere/at/all.json: no directory nowhere/at"),
        (["--only", "moun"], "unknown case 'moun' (did you mean muon?)"),
        (["--preset", "kimi-vl-a3b"], "unknown preset 'kimi-vl-a3b'"),
    ],
)
def test_bad_options_end_before_measuring(wrong: list[str], words: str, refused: Callable[..., str]) -> None:
    assert words in refused("bench", "--preset", "nano", *wrong)
