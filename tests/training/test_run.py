"""Whole runs through the command line: every stage, kill and resume to the same bits, errors in one clear line."""

import csv
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from minikimi.cli import main
from minikimi.configs import settings
from minikimi.model.config import KimiVLConfig
from minikimi.training.stages import LONG, STAGES

COMMAND = [sys.executable, "-m", "minikimi", "train", "--preset", "nano"]
JOINT = [*COMMAND, "--stage", "joint", "--trainer.max_steps=14", "--trainer.enable_progress_bar=false"]
KILLED = ("text", "longcot", "rl")


# Reinforcement learning has no loss that falls; the long stages and the second pass are too short to tell.
LEARNING = ("text", "vit", "align", "joint", "cooldown", "sft", "longcot")


@pytest.mark.slow
def test_nano_runs_every_stage(nano_run: Path) -> None:
    for stage in STAGES:
        with (nano_run / stage / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        wanted = settings("nano", stage)["trainer"]["max_steps"]
        assert [int(row["step"]) for row in rows] == list(range(1, wanted + 1)), stage
        losses = [float(row["loss"]) for row in rows]
        if stage in LEARNING:
            assert sum(losses[-4:]) < sum(losses[:4]), stage  # four each: batches are small and differ
        assert not [path for path in (nano_run / stage).rglob("*.ckpt")], "a finished stage keeps its model alone"


@pytest.mark.slow
def test_rotary_base_is_reset_once_and_stays(nano_run: Path) -> None:
    bases = {s: KimiVLConfig.from_pretrained(nano_run / s / "model").text_config.rope_theta for s in STAGES}
    before = list(STAGES)[: list(STAGES).index(LONG[0])]
    assert all(base == (50_000 if stage in before else 800_000) for stage, base in bases.items())


@pytest.mark.slow
def test_chat_answers_and_bad_pictures_end_in_one_line(nano_run: Path, capsys, tmp_path: Path) -> None:
    picture = nano_run / "samples" / "00.png"
    assert main(["chat", str(picture), "What is this?", "--model", str(nano_run), "--max-new-tokens", "4"]) == 0
    capsys.readouterr()
    broken = tmp_path / "broken.png"
    broken.write_bytes(picture.read_bytes()[:100])
    for path in (broken, tmp_path / "missing.png"):
        assert main(["chat", str(path), "What is this?", "--model", str(nano_run)]) == 2
        message = capsys.readouterr().err
        assert path.name in message and message.count("\n") == 1


# Kills itself right after a row was written: no clock decides where.
KILL = """
import os, signal, sys
from pathlib import Path
from minikimi.cli import main
from minikimi.training.records import Records
metrics, rows = Path(sys.argv[1]), int(sys.argv[2])
write = Records.on_train_batch_end
def written(self, *arguments):
    write(self, *arguments)
    if self.metrics.resolve() == metrics.resolve() and len(metrics.read_text().splitlines()) > rows:
        os.kill(os.getpid(), signal.SIGKILL)
Records.on_train_batch_end = written
sys.exit(main(sys.argv[3:]))
"""


def run_until(command: list, killed_after: int, metrics: Path) -> None:
    """Train until `metrics` has that many rows, and end there by SIGKILL."""
    arguments = [metrics, killed_after, *command[command.index("train") :]]
    done = subprocess.run([sys.executable, "-c", KILL, *map(str, arguments)], capture_output=True, timeout=250)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-500:]


@pytest.mark.slow
def test_killed_twice_and_resumed_gives_the_same_bits(tmp_path: Path) -> None:
    """Checkpoints come every 2 steps; the kills fall before the first one and between two."""
    left_alone, killed = tmp_path / "left_alone", tmp_path / "killed"
    subprocess.run([*JOINT, "--run", left_alone], check=True, timeout=200, capture_output=True)
    metrics = killed / "joint" / "metrics.csv"
    run_until([*JOINT, "--run", killed], 1, metrics)
    assert not (killed / "joint" / "model").exists()
    run_until([*JOINT, "--run", killed, "--resume"], 7, metrics)
    subprocess.run([*JOINT, "--run", killed, "--resume"], check=True, timeout=200, capture_output=True)
    a, b = (load_file(run / "model" / "model.safetensors") for run in (left_alone, killed))
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []
    columns = [[(r["step"], r["loss"], r["lr"]) for r in csv.DictReader((run / "joint" / "metrics.csv").open())]
               for run in (left_alone, killed)]  # fmt: skip
    assert columns[0] == columns[1]


@pytest.mark.slow
def test_whole_recipe_killed_three_times_gives_the_same_bits(nano_run: Path, tmp_path: Path) -> None:
    """At random steps of text pre-training, long-CoT fine-tuning and reinforcement learning; all weights are equal."""
    run = tmp_path / "run"
    command = [*COMMAND, "--run", run, "--trainer.enable_progress_bar=false"]
    steps = [settings("nano", stage)["trainer"]["max_steps"] for stage in KILLED]
    moments = [random.randrange(1, n - 3) for n in steps]  # a later kill might find the stage done
    print("killed after steps", dict(zip(KILLED, moments, strict=True)))
    for number, (stage, rows) in enumerate(zip(KILLED, moments, strict=True)):
        run_until([*command, *(["--resume"] if number else [])], rows, run / stage / "metrics.csv")
        assert not (run / stage / "model").exists(), "killed too late to show anything"
    subprocess.run([*command, "--resume"], check=True, timeout=280, capture_output=True)
    for stage in STAGES:
        a, b = (load_file(r / stage / "model" / "model.safetensors") for r in (nano_run, run))
        assert [name for name in a if not torch.equal(a[name], b[name])] == [], stage


@pytest.mark.slow
def test_long_stands_for_both_long_stages(nano_run: Path, tmp_path: Path) -> None:
    """`--stage long` runs the two, `--from RUN/long` begins after them."""
    few = ["--trainer.max_steps=2", "--trainer.enable_progress_bar=false"]
    run = ["train", "--preset", "nano", "--run", str(tmp_path / "run"), *few]
    assert main([*run, "--stage", "long", "--from", str(nano_run / "cooldown")]) == 0
    assert main([*run, "--stage", "sft", "--from", str(tmp_path / "run" / "long")]) == 0
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["long1", "long2", "model", "sft"]
    begun = yaml.safe_load((tmp_path / "run" / "sft" / "config.yaml").read_text())["model"]["start"]["init_from"]
    assert begun == str(tmp_path / "run" / "long2")


@pytest.mark.slow
def test_existing_run_is_not_touched_without_a_word(nano_run: Path, capsys) -> None:
    before = (nano_run / "joint" / "model" / "model.safetensors").stat().st_mtime_ns
    assert main(["train", "--preset", "nano", "--run", str(nano_run)]) == 2
    assert "--resume to go on, or --overwrite" in capsys.readouterr().err
    assert (nano_run / "joint" / "model" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--preset", "huge"], "unknown preset 'huge'; choose one of nano, small, base, kimi-vl-a3b"),
        (["train", "--preset", "nano", "--stage", "poem"], "unknown stage 'poem'; choose one of text, vit"),
        (["chat", "picture.png", "What?", "--model", "nowhere"], "picture.png"),
        (["evaluate", "nowhere"], "nowhere: no such directory"),
        (["train", "--preset", "nano", "--stage", "longcot", "--run", "runs/none"], "longcot starts from a fine-tuned"),
        (["data", "show", "--task", "poem"], "unknown task of the picture world 'poem'; choose one of"),
    ],
)
def test_bad_input_ends_in_one_line(arguments: list[str], words: str, capsys) -> None:
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1


def test_half_written_run_is_refused_with_the_remedy(tmp_path: Path, capsys) -> None:
    (tmp_path / "joint").mkdir()
    (tmp_path / "joint" / "metrics.csv").write_text("step\n")
    assert main(["evaluate", str(tmp_path)]) == 2
    assert "--resume" in capsys.readouterr().err


@pytest.mark.slow
def test_misspelt_setting_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*JOINT, "--run", tmp_path / "run", "--model.lerning_rate=1"], capture_output=True, timeout=120
    )
    assert done.returncode == 2
    assert b"lerning_rate" in done.stderr
