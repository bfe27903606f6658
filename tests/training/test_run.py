"""Whole runs through the command line: every stage, kill and resume to the same bits, errors in one clear line."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from minikimi.cli import main
from minikimi.data.forms import encoder
from minikimi.data.solutions import Solutions
from minikimi.files import SHIPPED
from minikimi.model.checkpoint import load_language_model
from minikimi.model.config import KimiVLConfig
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.recipe import ASKED_IN, rejection_settings
from minikimi.training.module import Training
from minikimi.training.objectives import NextToken
from minikimi.training.run import STAGES, stage_config, whole_run
from minikimi.world import PictureWorld

COMMAND = [sys.executable, "-m", "minikimi.cli", "train", "--preset", "nano"]
JOINT = [*COMMAND, "--stage", "joint", "--trainer.max_steps=14", "--trainer.enable_progress_bar=false"]
KILLED = ("text", "longcot", "rl")


# Reinforcement learning has no loss that falls; the long stages and the second pass are too short to tell.
LEARNING = ("text", "vit", "align", "joint", "cooldown", "sft", "longcot")


def test_nano_runs_every_stage_in_under_three_minutes(nano_run: Path) -> None:
    for stage in STAGES:
        with (nano_run / stage / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        wanted = yaml.safe_load(stage_config("nano", stage).read_text())["trainer"]["max_steps"]
        assert [int(row["step"]) for row in rows] == list(range(1, wanted + 1)), stage
        losses = [float(row["loss"]) for row in rows]
        if stage in LEARNING:
            assert sum(losses[-4:]) < sum(losses[:4]), stage  # four each: batches are small and differ
        assert not (nano_run / stage / "last.ckpt").exists()


def test_scores_stand_beside_every_model_that_can_be_asked(nano_run: Path) -> None:
    for stage in STAGES:
        path = nano_run / stage / "scores.json"
        assert path.is_file() == (stage in ASKED_IN), stage
        if path.is_file():
            scores = json.loads(path.read_text())
            assert scores["form"] == ASKED_IN[stage] and len(scores["benchmarks"]) == 7


def test_the_warm_up_set_is_verified(nano_run: Path) -> None:
    """Every solution of the file ends with the answer of the sample that is drawn again from its number."""
    solutions = Solutions(nano_run / "longcot" / "solutions.jsonl")
    settings = rejection_settings("nano")
    assert len(solutions) >= settings.annotated * len(settings.tasks)
    for i in range(len(solutions)):
        sample = solutions[i]
        assert sample.solution and sample.solution.split()[-1].removesuffix(".") == sample.answer


def test_rotary_base_is_reset_once_and_stays(nano_run: Path) -> None:
    bases = {s: KimiVLConfig.from_pretrained(nano_run / s / "model").text_config.rope_theta for s in STAGES}
    before = STAGES[: STAGES.index("long1")]
    assert all(base == (50_000 if stage in before else 800_000) for stage, base in bases.items())


def test_nano_run_has_evaluation_and_report(nano_run: Path) -> None:
    result = json.loads((nano_run / "evaluation.json").read_text())
    assert set(result["stages"]) == set(STAGES)
    assert all(0 <= task["score"] <= 1 and task["n"] == 4 for task in result["tasks"].values())
    page = (nano_run / "report.html").read_text()
    assert "OpenMoji" in page and len(result["samples"]) == 12


def test_alignment_moves_only_tower_and_projector(nano_run: Path) -> None:
    """Alignment starts from the ViT stage's model, whose language model is the text stage's."""
    text, vit, align = (load_file(nano_run / s / "model" / "model.safetensors") for s in ("text", "vit", "align"))
    moved = {name.split(".")[0] for name in align if not torch.equal(align[name], vit[name])}
    assert moved == {"vision_tower", "multi_modal_projector"}
    assert {name.split(".")[0] for name in vit if not torch.equal(text[name], vit[name])} == {"vision_tower"}


def test_expert_load_is_recorded_and_bias_moves(nano_run: Path) -> None:
    weights = load_file(nano_run / "joint" / "model" / "model.safetensors")
    biases = [tensor for name, tensor in weights.items() if name.endswith("e_score_correction_bias")]
    assert biases and all(b.abs().max() > 1e-4 and abs(b.mean()) < 1e-6 for b in biases)


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


def run_until(command: list, killed_after: int, metrics: Path) -> None:
    """Start a training process and kill it with SIGKILL once `metrics` has that many rows."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.is_file() and len(metrics.read_text().splitlines()) > killed_after:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.005)
    process.wait()
    assert process.returncode == -signal.SIGKILL, process.stderr.read().decode()[-500:]  # type: ignore[union-attr]


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


def test_whole_recipe_killed_three_times_gives_the_same_bits(nano_run: Path, tmp_path: Path) -> None:
    """At random steps of text pre-training, long-CoT fine-tuning and reinforcement learning; all weights are equal."""
    run = tmp_path / "run"
    command = [*COMMAND, "--run", run, "--trainer.enable_progress_bar=false"]
    steps = [yaml.safe_load(stage_config("nano", stage).read_text())["trainer"]["max_steps"] for stage in KILLED]
    moments = [random.randrange(1, n - 3) for n in steps]  # a later kill might find the stage done
    print("killed after steps", dict(zip(KILLED, moments, strict=True)))
    for number, (stage, rows) in enumerate(zip(KILLED, moments, strict=True)):
        run_until([*command, *(["--resume"] if number else [])], rows, run / stage / "metrics.csv")
        assert not (run / stage / "model").exists(), "killed too late to show anything"
    subprocess.run([*command, "--resume"], check=True, timeout=280, capture_output=True)
    for stage in STAGES:
        a, b = (load_file(r / stage / "model" / "model.safetensors") for r in (nano_run, run))
        assert [name for name in a if not torch.equal(a[name], b[name])] == [], stage


def test_long_stands_for_both_long_stages(nano_run: Path, tmp_path: Path) -> None:
    """`--stage long` runs the two, `--from RUN/long` begins after them."""
    settings = ["--trainer.max_steps=2", "--trainer.enable_progress_bar=false"]
    run = ["train", "--preset", "nano", "--run", str(tmp_path / "run"), *settings]
    assert main([*run, "--stage", "long", "--from", str(nano_run / "cooldown")]) == 0
    assert main([*run, "--stage", "sft", "--from", str(tmp_path / "run" / "long")]) == 0
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["long1", "long2", "model", "sft"]
    begun = yaml.safe_load((tmp_path / "run" / "sft" / "config.yaml").read_text())["model"]["init_from"]
    assert begun == str(tmp_path / "run" / "long2")


def test_existing_run_is_not_touched_without_a_word(nano_run: Path, capsys) -> None:
    before = (nano_run / "joint" / "model" / "model.safetensors").stat().st_mtime_ns
    assert main(["train", "--preset", "nano", "--run", str(nano_run)]) == 2
    assert "--resume to go on, or --overwrite" in capsys.readouterr().err
    assert (nano_run / "joint" / "model" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--preset", "huge"], "unknown preset 'huge'; choose one of nano, small, base, kimi-vl-a3b"),
        (["train", "--preset", "nano", "--stage", "poem"], "no configuration"),
        (["chat", "picture.png", "What?", "--model", "nowhere"], "picture.png"),
        (["evaluate", "nowhere"], "nowhere: no such directory"),
        (["train", "--preset", "nano", "--stage", "longcot", "--run", "runs/none"], "longcot starts from a fine-tuned"),
        (["data", "show", "--task", "poem"], "unknown task 'poem'; choose one of"),
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


def test_misspelt_setting_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [*JOINT, "--run", tmp_path / "run", "--model.lerning_rate=1"], capture_output=True, timeout=120
    )
    assert done.returncode == 2
    assert b"lerning_rate" in done.stderr


def test_a_whole_run_begins_after_the_text_stage_where_there_is_a_language_model() -> None:
    assert whole_run("nano", None) == STAGES
    assert whole_run("nano", "runs/other/text") == whole_run("small", None) == STAGES[1:]
    named = yaml.safe_load(stage_config("small", "vit").read_text())["model"]["language_model"]
    fresh, taken = KimiVL.from_preset("small"), Training(NextToken(["language_model"]), 1, 1e-3, "small", None, named)
    shipped = load_file(SHIPPED / named / "model.safetensors")
    name = "language_model.model.embed_tokens.weight"
    assert torch.equal(taken.model.state_dict()[name], shipped[name])
    assert not torch.equal(fresh.state_dict()[name], shipped[name])


def test_the_shipped_model_is_that_of_the_recipe() -> None:
    """As far as can be told without training for 20 minutes: its stages took the steps that the YAML asks for."""
    card = json.loads((SHIPPED / "small" / "card.json").read_text())
    steps = {stage: values["steps"] for stage, values in card["stages"].items()}
    wanted = {s: yaml.safe_load(stage_config("small", s).read_text())["trainer"]["max_steps"] for s in STAGES[1:]}
    assert steps == wanted and card["command"] == "minikimi train --preset small"


def test_word_embeddings_of_a_fresh_model_can_be_scaled() -> None:
    name = "model.language_model.model.embed_tokens.weight"
    norms = []
    for scale in (1.0, 0.25):
        torch.manual_seed(0)
        module = Training(NextToken(["language_model"]), 1, 1e-3, "nano", embedding_scale=scale)
        norms.append(module.state_dict()[name].norm())
    assert torch.isclose(norms[1], norms[0] / 4)


def test_the_shipped_language_model_answers_what_it_is_told() -> None:
    """The mini-Moonlight: told in words what is in the pictures, it looks the answer up."""
    model, processor = KimiVL.from_preset("small"), Processor.small()
    load_language_model(model, "small-text")
    model.eval()
    world, right = PictureWorld(99, "held_out", {"click": 1, "table": 1, "order": 1, "pages": 1}), 0
    for i in range(20):
        steps = world[i].solution or world[i].answer  # whether it works a question out is free, and so the first word
        told = encoder("told", processor)(replace(world[i], caption="", answer=steps, solution="", more=[]))
        tail = len(processor.tokenizer.encode(f" {steps}.")) - 1
        with torch.inference_mode():
            chosen = model(told.input_ids, cu_seqlens=torch.tensor([0, len(told.input_ids)])).logits.argmax(-1)
        right += torch.equal(chosen[-tail - 2 : -2], told.input_ids[-tail - 1 : -1])
    assert right >= 17
