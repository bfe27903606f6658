"""The benchmark harness: a wrong kernel must be seen, a missing peer named, a crash not hide the other rows."""

import json
import math

import pytest
import torch
from minikimi_kernels.bench.__main__ import main, parse_arguments, run_all
from minikimi_kernels.bench.harness import Bench, Row, cells, format_row, table
from minikimi_kernels.common import relative_error


@pytest.mark.parametrize("error", [2e-3, math.nan, math.inf])
def test_wrong_kernel_fails_the_run(error):
    bench = Bench()
    bench.row("right", "1", lambda: None, error=1e-4, tolerance=1e-3)
    assert not bench.failed
    bench.row("wrong", "1", lambda: None, error=error, tolerance=1e-3)
    assert bench.failed
    assert "FAILED" in table(bench.rows)


def test_a_benchmark_that_raises_is_a_failed_row(monkeypatch):
    def broken(name: str, package: str):
        raise RuntimeError(f"no {name}")

    monkeypatch.setattr("importlib.import_module", broken)
    bench = Bench()
    run_all(bench, ["muon", "loss"])
    assert [row.failure for row in bench.rows] == ["RuntimeError: no .muon", "RuntimeError: no .loss"]


def test_cells_of_a_measured_row():
    """2 ms against peers of 3 and 5 ms: the best one counts, and the ratio is theirs over ours."""
    row = Row("k", "8 x 8", 1e-3, 1e-2, ms=2.0, tflops=500.0, peers_ms={"a": 5.0, "b": 3.0}, limit_ms=1.0)
    row.peers_missing["c"] = "not installed"
    found = cells(row)
    assert found[3] == "2.000" and found[4] == "500 TFLOP/s"
    assert found[7] == "b 3.000" and found[8] == "1.50x" and found[9] == "ok"
    assert "c missing (not installed)" in format_row(row)


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


def test_unknown_benchmark_is_named(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--only", "muon,nothing"])
    assert "unknown benchmark nothing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse_arguments(["--json", "nowhere/rows.json"])
    assert "no folder nowhere" in capsys.readouterr().err


def test_relative_error():
    reference = torch.tensor([3.0, 4.0])
    assert relative_error(reference + torch.tensor([0.0, 0.5]), reference) == pytest.approx(0.1)
    assert math.isnan(relative_error(torch.tensor([3.0, math.nan]), reference))
    assert relative_error(torch.tensor([0.0, 2.0]), torch.zeros(2)) == 2.0
