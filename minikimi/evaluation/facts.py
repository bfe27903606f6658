"""The facts of an evaluation that are not scores: where it ran, how large the model is, what it took (lesson 15)."""

from __future__ import annotations

import csv
import resource
import sys
from dataclasses import replace
from pathlib import Path

from minikimi.errors import UserError
from minikimi.files import model_directory, read_text
from minikimi.model.config import PRESETS, KimiVLConfig
from minikimi.model.kimi_vl import KimiVL
from minikimi.training.stages import STAGES


def active_parameters(model: KimiVL) -> int:
    """Parameters that one token of the whole model uses: all but the routed experts it is not sent to."""
    text = model.config.text_config
    routed = sum(p.numel() for name, p in model.named_parameters() if ".experts." in name)
    everything = sum(p.numel() for p in model.parameters())
    return everything - routed + routed * text.num_experts_per_tok // text.n_routed_experts


def peak_memory_gib() -> float:
    """The largest memory this process has held, GiB. Linux counts kilobytes, macOS bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2 ** (30 if sys.platform == "darwin" else 20)


def stage_costs(run: Path) -> dict[str, dict[str, float]]:
    """Minutes, steps and tokens of each stage that a run has trained, from its metrics.csv."""
    costs = {}
    for stage in STAGES:
        path = run / stage / "metrics.csv"
        if path.is_file():
            rows = list(csv.DictReader(read_text(path).splitlines()))
            seconds = [float(row["seconds"]) for row in rows]
            tokens = sum(float(row["tokens_per_second"]) * float(row["seconds"]) for row in rows)
            costs[stage] = {"minutes": round(sum(seconds) / 60, 2), "steps": len(rows), "tokens": round(tokens)}
    return costs


def results_directory(model: Path) -> Path:
    """Where the results of a model are written: into its run. A model that is no run, such as the shipped `small`, is
    left as it is; its results go to runs/evaluate-NAME. Raises `UserError` if there is no model.
    """
    if model_directory(model) == model / "model":
        return model
    return Path("runs") / f"evaluate-{model.resolve().name}"


def preset_of(run: Path) -> str:
    """The preset whose network a finished run has, by its config. Raises `UserError` if none fits.

    Rotary base and context length are not compared: training on long contexts changes them.
    """
    config = KimiVLConfig.from_pretrained(model_directory(run))
    for name, preset in PRESETS.items():
        base, context = preset.text_config.rope_theta, preset.text_config.max_position_embeddings
        text = replace(config.text_config, rope_theta=base, max_position_embeddings=context)
        if preset.text_config == text and preset.vision_config == config.vision_config:
            return name
    raise UserError(f"{run}: its config.json fits no preset; name the settings with --preset")
