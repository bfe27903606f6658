"""A trained run beside the findings: what its files say, and nothing where they are missing."""

import json
from pathlib import Path

import pytest

from minikimi.findings.trained import ends, trained_rows, values


def test_a_trained_run_is_laid_beside(tmp_path: Path) -> None:
    assert trained_rows(tmp_path / "none") == {}
    for stage, score, recall in (("cooldown", 0.2, [[1.0, 1.0], [0.0, 0.5], [None, None]]), ("long2", 0, [[1, 1]] * 3)):
        (tmp_path / stage).mkdir()
        table = {"lengths": [128, 512, 2048], "depths": [0, 1], "recall": recall}
        (tmp_path / stage / "scores.json").write_text(json.dumps({"needle_map": table, "mean": {"score": score}}))
    (tmp_path / "rl").mkdir()
    gain = {
        "problems": 192, "before": {"pass@1": 0.7}, "after": {"pass@1": 0.75, "tokens": 30.0},
        "gain": {"pass@1": 0.05, "interval": [0.01, 0.1]}, "before_length": {"tokens": 40.0},
        "by_length": {"pass@1": -0.005},
    }  # fmt: skip
    (tmp_path / "rl" / "gain.json").write_text(json.dumps(gain))
    (tmp_path / "evaluation.json").write_text(json.dumps({"test_time_scaling": None}))  # a model that does not think
    rows = trained_rows(tmp_path)
    assert set(rows) == {"needle", "rl", "length_penalty"}
    assert "before 128 tokens 100 %, 512 tokens 25 %; after 128 tokens 100 %" in rows["needle"]
    assert "192 held-out sums 70.0 % before and 75.0 % after; gain +5.0 points (+1.0 to +10.0)" in rows["rl"]
    assert "40.0 tokens when the length reward began, 30.0 at the end; pass@1 -0.5 points" in rows["length_penalty"]


def test_ends_are_the_first_and_the_last_tenth(tmp_path: Path) -> None:
    assert ends([float(i) for i in range(20)]) == (0.5, 18.5) and ends([7.0]) == (7.0, 7.0)
    (tmp_path / "joint").mkdir()
    (tmp_path / "joint" / "metrics.csv").write_text("step,max_violation\n1,3.0\n2,\n3,1.0\n")
    assert values(tmp_path, "joint", "max_violation") == [3.0, 1.0]
    with pytest.raises(IndexError):
        values(tmp_path, "joint", "absent")
    assert trained_rows(tmp_path) == {
        "balance": f"trained run {tmp_path.name}: max violation 3.00 at the start of joint training, 1.00 at its end"
    }
