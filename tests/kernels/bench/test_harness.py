"""The benchmark harness: a wrong kernel must be seen, a missing peer named."""

import math

import pytest
from minikimi_kernels.bench.harness import Bench, Row, cells, format_row, table


@pytest.mark.parametrize("error", [2e-3, math.nan, math.inf])
def test_wrong_kernel_fails_the_run(error):
    bench = Bench()
    bench.row("right", "1", lambda: None, error=1e-4, tolerance=1e-3)
    assert not bench.failed
    bench.row("wrong", "1", lambda: None, error=error, tolerance=1e-3)
    assert bench.failed
    assert "FAILED" in table(bench.rows)


def test_cells_of_a_measured_row():
    """2 ms against peers of 3 and 5 ms: the best one counts, and the ratio is theirs over ours."""
    row = Row("k", "8 x 8", 1e-3, 1e-2, ms=2.0, tflops=500.0, peers_ms={"a": 5.0, "b": 3.0}, limit_ms=1.0)
    row.peers_missing["c"] = "not installed"
    found = cells(row)
    assert found[3] == "2.000" and found[4] == "500 TFLOP/s"
    assert found[7] == "b 3.000" and found[8] == "1.50x" and found[9] == "ok"
    assert "c missing (not installed)" in format_row(row)
