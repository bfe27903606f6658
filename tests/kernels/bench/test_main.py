"""The benchmark command: every file runs on tiny shapes without a GPU, and a crash does not hide the other rows."""

import json

import pytest
import torch
from minikimi_kernels.bench.__main__ import FILES, main, parse_arguments, run_all
from minikimi_kernels.bench.harness import Bench


def test_a_benchmark_that_raises_is_a_failed_row(monkeypatch):
    def broken(name: str, package: str):
        raise RuntimeError(f"no {name}")

    monkeypatch.setattr("importlib.import_module", broken)
    bench = Bench()
    run_all(bench, ["muon", "loss"])
    assert [row.failure for row in bench.rows] == ["RuntimeError: no .muon", "RuntimeError: no .loss"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="the tiny shapes are for machines without a GPU")
def test_command_writes_json_and_reports_what_is_missing(tmp_path, capsys):
    path = tmp_path / "bench.json"
    assert main(["--only", "elementwise,loss", "--json", str(path)]) == 0
    written = json.loads(path.read_text())
    assert written["facts"]["gpu"] == "none" and written["facts"]["triton"]
    assert {row["kernel"] for row in written["rows"]} >= {"rms_norm fwd", "linear_cross_entropy fwd+bwd"}
    assert all(row["ms"] is None and not row["failure"] for row in written["rows"])
    assert "No GPU" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="the tiny shapes are for machines without a GPU")
@pytest.mark.parametrize("name", FILES)
def test_every_file_finds_its_kernels_right(name):
    bench = Bench()
    run_all(bench, [name])
    assert bench.rows and [row.failure for row in bench.rows if row.failure] == []


def test_unknown_benchmark_is_named(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--only", "muon,nothing"])
    assert "unknown benchmark nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse_arguments(["--json", "nowhere/rows.json"])
    assert "no folder nowhere" in capsys.readouterr().err
