"""The model card: what made a model and what it can do, as `card.json` beside its weights (lesson 15).

All of it is read from the run, so that a card never says more than what was measured: each stage's config.yaml, metrics
and scores.json, evaluation.json, rl/gain.json.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minikimi.configs import read_yaml
from minikimi.evaluation.facts import stage_costs
from minikimi.files import locate, read_json, write_json
from minikimi.report.runfiles import RunFiles, read_run, rows, table
from minikimi.training.stages import STAGES

OF_THE_RUN = (
    "preset", "command", "commit", "date", "machine", "parameters", "minutes", "form", "mean", "benchmarks", "tasks",
    "extras", "needle_map", "test_time_scaling",
)  # fmt: skip
LICENCE = {
    "weights": "MIT, as the code that trained them (LICENSE)",
    "pictures": "OpenMoji, openmoji.org, CC BY-SA 4.0: drawn into the training pictures, none is part of the weights",
    "digits": "Optical Recognition of Handwritten Digits, UCI, CC BY 4.0, doi.org/10.24432/C50P49: likewise",
}


def card(run: Path) -> dict[str, Any]:
    """What is known about a run: how it was made, what each stage gave, its scores, its licence. {} for no run."""
    files = read_run(run)
    configs = {stage: found for stage in STAGES if (found := read_config(run / stage))}
    costs = stage_costs(run) or rows(files.evaluation, "stages")
    last = configs[max(configs, key=list(STAGES).index)] if configs else {}
    known = {"preset": table(table(last, "model"), "start").get("preset"), **files.evaluation, **table(last, "made_by")}
    found = {name: known[name] for name in OF_THE_RUN if known.get(name) is not None}
    if not found and not costs:
        return {}
    seeds = sorted({config["seed_everything"] for config in configs.values()})
    stages = {stage: {**costs[stage], **scores_of(files, stage)} for stage in costs}
    gain = {"gain": files.gain} if files.gain else {}
    return {**found, "seeds": seeds, "stages": stages, **gain, "licence": LICENCE}


def read_config(stage: Path) -> dict[str, Any]:
    """The resolved settings of a stage; {} if it was not trained."""
    path = stage / "config.yaml"
    return read_yaml(path) if path.is_file() else {}


def scores_of(files: RunFiles, stage: str) -> dict[str, Any]:
    """How the model was asked after a stage, the mean of the benchmarks, and the share of each task that was right."""
    scores = files.scores.get(stage, {})
    mean, tasks = table(scores, "mean"), {**rows(scores, "tasks"), **rows(scores, "extras")}
    if not mean:
        return {}
    by_task = {name: row.get("score") for name, row in tasks.items()}
    known = {"asked_as": scores.get("form"), "mean": mean.get("score"), "n": mean.get("n")}
    return {**known, "tasks": by_task} if by_task else known


def write_card(run: Path, directory: Path) -> None:
    """Write `directory`/card.json about the model of a run, or a copy of the card that a model has already; nothing
    about any other.
    """
    run = locate(run)
    if (run / "card.json").is_file():
        write_json(directory / "card.json", read_json(run / "card.json"))
    elif values := card(run):
        write_json(directory / "card.json", values)
