"""Whole runs: kill -9 in reinforcement learning and resume to the same bits; the command."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minikimi.cli import main

# Responses of up to 64 tokens in segments of 24, so that a checkpoint holds unfinished ones. An untrained model stops
# with one token in 500, so some responses are shorter than others: that is what is learnt from.
COMMAND = [
    sys.executable, "-m", "minikimi", "train", "--preset", "nano", "--stage", "rl", "--trainer.max_steps=12",
    "--data.settings.max_new_tokens=64", "--data.settings.segment=24", "--data.settings.problems=6",
    "--trainer.enable_progress_bar=false",
]  # fmt: skip


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("rl") / "left_alone"
    subprocess.run([*COMMAND, "--run", run], check=True, timeout=200, capture_output=True)
    return run


@pytest.mark.slow
def test_killed_in_rl_and_resumed_gives_the_same_bits(left_alone: Path, tmp_path: Path) -> None:
    """Checkpoints come every 2 steps; the kill falls after the 7th."""
    killed = tmp_path / "killed"
    process = subprocess.Popen([*COMMAND, "--run", killed], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics, deadline = killed / "rl" / "metrics.csv", time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.is_file() and len(metrics.read_text().splitlines()) > 7:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    process.wait()
    assert process.returncode == -signal.SIGKILL
    subprocess.run([*COMMAND, "--run", killed, "--resume"], check=True, timeout=200, capture_output=True)
    a, b = (load_file(run / "model" / "model.safetensors") for run in (left_alone, killed))
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    rows = [[{k: v for k, v in row.items() if k not in TIMES} for row in read(run)] for run in (left_alone, killed)]
    assert rows[0] == rows[1]
    tables = [(run / "rl" / "rollouts.jsonl").read_text() for run in (left_alone, killed)]
    assert tables[0] == tables[1]


TIMES = ("seconds", "tokens_per_second", "rollout_seconds", "rollout_share")


def read(run: Path) -> list[dict[str, str]]:
    with (run / "rl" / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_run_says_what_it_did(left_alone: Path) -> None:
    """One row a step with the columns of rollouts and loss; weights moved; some responses waited for a next segment."""
    rows = read(left_alone)
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    assert [int(row["iteration"]) for row in rows] == [i // 2 for i in range(12)]
    assert all(row["entropy"] and row["log_ratio/mean"] for row in rows[4:])
    finished = [row for row in rows if row["reward"]]  # where no response came to its end there is nothing to reward
    assert len(finished) >= 4 and all(row["completions/mean_length"] for row in finished)
    assert any(float(row["unfinished"]) > 0 for row in rows)
    assert any(float(row["grad_norm"]) > 0 for row in rows)
    table = [json.loads(line) for line in (left_alone / "rl" / "rollouts.jsonl").read_text().splitlines()]
    assert {"iteration", "question", "completion", "reward", "parts", "end"} <= set(table[0])


@pytest.mark.slow
def test_checkpoints_must_fall_between_iterations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND[3:], "--run", str(tmp_path / "run"), "--checkpoint_every=3"]) == 2
    assert "checkpoint_every 3 must be a multiple of inner_steps 2" in capsys.readouterr().err


@pytest.mark.slow
def test_validation_on_held_out_problems(tmp_path: Path) -> None:
    """Every second iteration: pass@1 and pass@k stand in the log, from the model as it was then."""
    few = ["--trainer.max_steps=4", "--data.validate_every=2", "--data.validate_problems=2"]
    assert main([*COMMAND[3:], "--run", str(tmp_path / "run"), *few]) == 0
    rows = read(tmp_path / "run")
    assert all(0 <= float(row["pass@1"]) <= float(row["pass@k"]) <= 1 for row in rows[:2])
