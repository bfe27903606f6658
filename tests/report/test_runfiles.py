"""What a run directory holds, read without trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from minikimi.errors import UserError
from minikimi.report import runfiles
from minikimi.report.page import percent
from minikimi.report.runfiles import read_run


def test_empty_cells_are_left_out_of_a_curve(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss,lr\n1,3.5,\n1,,0.1\n2,2.5,\n2,,0.2\n3,nan,\n4,2")  # the last line is cut
    columns = runfiles.read_columns(path)
    assert runfiles.curve(columns, "loss") == ([1.0, 2.0, 4.0], [3.5, 2.5, 2.0])
    assert runfiles.curve(columns, "lr") == ([1.0, 2.0], [0.1, 0.2])
    assert runfiles.curve(columns, "absent") == ([], [])


def test_cut_rollouts_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "rl").mkdir()
    (tmp_path / "rl" / "rollouts.jsonl").write_text('{"iteration": 0}\n[1]\n{"iteration": 1, "tas')
    assert runfiles.read_rollouts(tmp_path) == [{"iteration": 0}]


@pytest.mark.parametrize("value", ["0.5", None, True, float("nan"), [0.5], {}])
def test_only_finite_numbers_are_numbers(value: object) -> None:
    assert runfiles.number(value) is None and percent(value) == ""
    assert runfiles.number(0) == 0 and percent(0.724) == "72%"


def test_minutes_and_tokens_are_sums_over_the_steps(tmp_path: Path) -> None:
    (tmp_path / "sft").mkdir()
    path = tmp_path / "sft" / "metrics.csv"
    path.write_text("step,seconds,tokens_per_second\n1,30,10\n2,,\n3,90,20\n")
    assert runfiles.stage_facts(read_run(tmp_path), "sft") == {"steps": 3, "tokens": 2100, "minutes": 2}
    path.unlink()
    (tmp_path / "evaluation.json").write_text('{"stages": {"sft": {"steps": 7, "tokens": "many"}}}')
    assert runfiles.stage_facts(read_run(tmp_path), "sft") == {"steps": 7}
    assert runfiles.stage_facts(read_run(tmp_path), "rl") == {}


def test_a_file_that_is_no_object_is_named(tmp_path: Path) -> None:
    (tmp_path / "rl").mkdir()
    (tmp_path / "rl" / "gain.json").write_text("[1]")
    with pytest.raises(UserError, match=r"rl.gain\.json: holds no JSON object"):
        read_run(tmp_path)
