"""A made-up run with a real nano model, which holds all that training and evaluation leave: for the report's tests."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import torch
from PIL import Image

from minikimi.evaluation.minis import BENCHMARKS
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.training.stages import STAGES

SCORES = (0.81, 0.64, 0.42, 0.93, 0.5, 0.37, 0.7)
EVIL = "<script>alert(1)</script> & \"'"
GAIN = {
    "problems": 192, "samples": 4,
    "before": {"pass@1": 0.41, "interval": [0.36, 0.46], "pass@k": 0.66, "tokens": 30.4},
    "after": {"pass@1": 0.484, "interval": [0.43, 0.54], "pass@k": 0.67, "tokens": 23.4},
    "gain": {"pass@1": 0.074, "interval": [0.027, 0.121], "tokens": 0.77},
    "before_length": {"pass@1": 0.47, "interval": [0.41, 0.52], "pass@k": 0.68, "tokens": 31.0},
    "by_length": {"pass@1": 0.014, "interval": [-0.01, 0.038], "tokens": 0.755},
}  # fmt: skip
RL_COLUMNS = ("reward", "success", "completions/mean_length", "frac_reward_zero_std", "entropy", "rewards/exact/mean")


def fake_run(run: Path, samples: int = 24) -> Path:
    """A run as training and evaluation leave it, with empty cells where a stage has no such value."""
    for number, stage in enumerate(STAGES):
        (run / stage).mkdir(parents=True)
        (run / stage / "metrics.csv").write_text(metrics(stage))
        if number > 2:
            (run / stage / "expert_load.csv").write_text(expert_loads())
        (run / stage / "scores.json").write_text(json.dumps(stage_scores(0.1 * number)))
    rollouts = [rollout(i, j) for i in range(3) for j in range(4)]
    (run / "rl" / "rollouts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rollouts))
    (run / "rl" / "gain.json").write_text(json.dumps(GAIN))
    (run / "samples").mkdir()
    for i in range(samples):
        for name in image_names(i):
            Image.effect_noise((260 + 8 * i, 200), 60 + i).save(run / name)
    (run / "evaluation.json").write_text(json.dumps(evaluation(samples)))
    torch.manual_seed(0)
    KimiVL.from_preset("nano").save_pretrained(run / "model")
    Processor.small().save_pretrained(run / "model")
    return run


def metrics(stage: str) -> str:
    parts = {"vit": ("loss_siglip", "loss_caption"), "rl": RL_COLUMNS}.get(stage, ())
    lines = [",".join(("step", "loss", "lr", "tokens_per_second", "seconds", "loss_text", *parts))]
    for step in range(1, 61):
        loss = 2 + 4 * math.exp(-step / 12) + 0.3 * math.sin(step * 12.9898)
        more = [f"{loss / (2 + i):.4f}" for i in range(len(parts))]
        lines.append(",".join((str(step), f"{loss:.4f}", f"{1e-3 * (1 - step / 61):.6g}", "500", "3", "", *more)))
    return "\n".join(lines) + "\n"


def expert_loads() -> str:
    lines = ["step,layer," + ",".join(f"expert_{e}" for e in range(16))]
    for step in range(10, 61, 10):
        for layer in range(2):
            loads = [1 + math.exp(-step / 30) * math.sin(2.4 * e + layer) for e in range(16)]
            lines.append(f"{step},{layer}," + ",".join(f"{load / sum(loads):.5f}" for load in loads))
    return "\n".join(lines) + "\n"


def row(score: float, n: int = 200) -> dict:
    return {
        "score": score,
        "interval": [score - 0.06, score + 0.06],
        "blind": score / 4,
        "chance": score / 6,
        "prior": score / 5,
        "n": n,
    }


def stage_scores(shift: float = 0.0) -> dict:
    """What both kinds of evaluation write; `shift` makes later stages better."""
    names = [benchmark.name for benchmark in BENCHMARKS]
    return {
        "form": "chat",
        "benchmarks": {n: row(s * (0.1 + shift)) | {"about": f"about {n}"} for n, s in zip(names, SCORES, strict=True)},
        "mean": row(0.05 + 0.06 * shift / 0.1, 1400),
        "tasks": {"chart": row(0.11), "sum": row(0.22)},
        "extras": {"arithmetic": row(0.33) | {"blind": None}},
        "needle_map": {
            "lengths": [128, 512, 2048], "depths": [0, 0.5, 1], "n": [[6] * 3] * 3,
            "recall": [[1.0, 0.96, 0.91], [0.5 + shift / 3, 0.31, 0.17], [None] * 3],
        },
    }  # fmt: skip


def image_names(i: int) -> list[str]:
    """No picture, one, or several."""
    return [f"samples/{i:02d}-{k + 1}.png" for k in range(3)] if i % 4 == 1 else [f"samples/{i:02d}.png"] * (i % 5 != 2)


def evaluation(samples: int) -> dict:
    kept = [
        {
            "task": "sum", "question": f"What is the sum on tag {i}?", "truth": f"word {i}", "correct": bool(i % 3),
            "answer": f"word {i}" if i % 3 else EVIL, "raw": f"◁think▷carry {i} {EVIL}◁/think▷word {i}",
            "images": image_names(i), "image": (image_names(i) or [""])[0],
        }
        for i in range(samples)
    ]  # fmt: skip
    return {
        **stage_scores(0.9), "mean": row(0.62, 1400), "samples": kept,
        "test_time_scaling": {"limits": [0, 8, 16], "mean": [0.2, 0.5, 0.61], "tasks": {"chart": [0.1, 0.4, 0.57]},
                              "interval": [[0.1, 0.3], [0.4, 0.6], [0.5, 0.7]], "used": [0, 7.5, 12], "n": 160},
        "stages": {}, "minutes": 30.0, "seconds": 90, "peak_memory_gib": 1.93, "machine": "2 CPUs",
        "command": "minikimi train --preset small", "date": "2026-01-31", "preset": "small",
        "parameters": 7_654_321, "active_parameters": 4_200_000,
    }  # fmt: skip


def rollout(iteration: int, j: int) -> dict:
    return {"iteration": iteration, "task": "sum", "question": "2 + 3?", "answer": "5", "completion": f"it {EVIL} {j}",
            "end": "stop", "tokens": 9, "reward": float(j % 2)}  # fmt: skip


def part(html: str, title: str) -> str:
    """The section whose heading begins with `title`."""
    found = [s for s in re.findall(r"<section>.*?</section>", html, re.S) if f"<h2>{title}" in s]
    assert len(found) == 1, f"{len(found)} sections {title}"
    return found[0]
