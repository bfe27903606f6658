"""The table that `minikimi evaluate` prints."""

from rich.console import Console

from minikimi.report.score_table import cells, percent, results_table


def row(score: float, **change: object) -> dict[str, object]:
    values = {"score": score, "interval": [0.1, 0.456], "blind": 0.2, "chance": 0.03, "prior": 0.04}
    return {**values, "parse_failures": 0.0, "n": 50, **change}


def test_a_row_has_a_cell_for_each_heading() -> None:
    assert cells(row(0.724)) == ["72 %", "10 – 46 %", "20 %", "3 %", "4 %", "0 %", "50"]
    assert cells(row(1.0, blind=None))[2] == "–" == percent(None)


def test_the_mean_stands_last() -> None:
    evaluation = {"form": "think", "benchmarks": {"maths": row(0.5), "agent": row(0.25)}, "mean": row(0.375, n=100)}
    console = Console(width=200, record=True, quiet=True)
    with console.capture() as printed:
        console.quiet = False
        console.print(results_table(evaluation))
    text = printed.get()
    assert "form: think" in text
    lines = [line.split() for line in text.splitlines() if "%" in line and "benchmark" not in line]
    found = {cells[1]: (cells[3], cells[-2]) for cells in lines}
    assert list(found) == ["maths", "agent", "mean"]
    assert found == {"maths": ("50", "50"), "agent": ("25", "50"), "mean": ("38", "100")}
