"""gain.json of a reinforcement-learning stage: what all of it changed, and what the length reward changed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rl_toys  # noqa: F401  its rewards
import torch
from safetensors.torch import load_file

from minikimi.errors import UserError
from minikimi.rl.compare import BEFORE_LENGTH, change, compare
from minikimi.rl.passk import PassRates

# A constant rate, because a schedule knows its end; a reward that even an untrained model gets in unequal shares.
ALIKE = ("--model.schedule.final_ratio=1", "--data.settings.rewards={half: 1.0}", "--data.settings.inner_steps=2")
TESTS = Path(__file__).parents[1]


def reinforce(start: Path, run: Path, *settings: str) -> Path:
    """The directory of a short stage rl, two steps on each iteration's responses."""
    program = "import sys, rl_toys, minikimi.cli; sys.exit(minikimi.cli.main(sys.argv[1:]))"  # the toys' rewards too
    command = [sys.executable, "-c", program, "train", "--preset", "nano", "--stage", "rl", "--from", start]
    subprocess.run(
        [*command, "--run", run, *ALIKE, *settings],
        check=True,
        timeout=200,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    return run / "rl"


def test_the_model_kept_is_the_one_at_which_the_length_reward_begins(nano_run: Path, tmp_path: Path) -> None:
    """A run that ends there, without a length reward, ends with the same weights to the bit."""
    weights = "--data.settings.length_weight"
    whole = reinforce(nano_run / "longcot", tmp_path / "a", f"{weights}=0.5", "--data.settings.length_from=2",
                      "--trainer.max_steps=8")  # fmt: skip
    until = reinforce(nano_run / "longcot", tmp_path / "b", f"{weights}=0", "--trainer.max_steps=4")
    kept, ended = (load_file(d / "model.safetensors") for d in (whole / BEFORE_LENGTH, until / "model"))
    assert kept.keys() == ended.keys() and all(torch.equal(kept[name], ended[name]) for name in kept)
    start = load_file(nano_run / "longcot" / "model" / "model.safetensors")
    assert any(not torch.equal(kept[name], start[name]) for name in kept), "something was learnt before"
    assert not (until / BEFORE_LENGTH).exists()

    found = json.loads((whole / "gain.json").read_text())
    share = found["after"]["tokens"] / found[BEFORE_LENGTH]["tokens"]
    assert found["by_length"]["tokens"] == pytest.approx(share)
    for key, earlier in (("gain", "before"), ("by_length", BEFORE_LENGTH)):
        low, high = found[key]["interval"]
        assert low <= found[key]["pass@1"] <= high
        assert found[key]["pass@1"] == pytest.approx(found["after"]["pass@1"] - found[earlier]["pass@1"])
    assert "by_length" not in json.loads((until / "gain.json").read_text())


def test_a_change_is_paired_and_lengths_are_a_share() -> None:
    before, after = PassRates(4, [0, 1, 2, 3], [30.0, 50.0] * 2), PassRates(4, [1, 2, 3, 4], [20.0, 40.0] * 2)
    assert change(before, after) == {"pass@1": 0.25, "interval": [0.25, 0.25], "tokens": 0.75}


def test_a_start_that_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: {start: {init_from: /nowhere/longcot}}\n")
    with pytest.raises(UserError, match="/nowhere/longcot"):
        compare(tmp_path)
