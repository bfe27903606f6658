"""The whole recipe: the stages in order, what a stage needs before it, and what it changed (lesson 13).

Before long-CoT fine-tuning the model writes its own warm-up set: worked solutions, of which those with the right answer
are kept. After a stage the same questions are asked again (`STAGE/scores.json`), so that each stage shows what it did.
Source: Kimi-VL report (arXiv 2504.07491), section 2.4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console

from minikimi.data.solutions import save_solutions
from minikimi.errors import UserError
from minikimi.evaluation.evaluate import evaluate_stage
from minikimi.files import CONFIGS
from minikimi.load import load
from minikimi.report.training import change_text
from minikimi.rl.compare import compare
from minikimi.rl.rejection import verified_solutions
from minikimi.sample import Sample
from minikimi.training.run import train_stages
from minikimi.world import PictureWorld

# How a stage's model is asked: a language model without eyes is told in words, base models continue documents,
# fine-tuned ones chat, the last two think first. After ViT training alone there is nothing to ask: the language model
# has not met the new tower.
ASKED_IN = {
    "text": "told",
    **dict.fromkeys(("align", "joint", "cooldown", "long1", "long2"), "document"),
    **dict.fromkeys(("sft", "sft2"), "chat"),
    "longcot": "think",
    "rl": "think",
}
console = Console(highlight=False)


@dataclass(frozen=True)
class Rejection:
    """`configs/PRESET/rejection.yaml`: how the warm-up set is made.

    tasks: tasks of the picture world that have worked steps. problems: tried for each task. samples: attempts at each.
    annotated: worked solutions of the drawing program added for each task, the seed that a human would write.
    """

    tasks: list[str]
    problems: int
    samples: int
    temperature: float
    max_new_tokens: int
    annotated: int
    seed: int


def rejection_settings(preset: str) -> Rejection:
    """Raises `UserError` if the file is missing or has other settings."""
    path = CONFIGS / preset / "rejection.yaml"
    try:
        return Rejection(**yaml.safe_load(path.read_text()))
    except (OSError, TypeError) as error:
        raise UserError(f"{path}: {error}; give every setting of the warm-up set once") from None


def write_warm_up(directory: str, path: Path, settings: Rejection) -> int:
    """Sample worked solutions with a model, keep the right ones, add the annotated ones; returns how many are right."""
    model, processor = load(directory)
    kept: list[Sample] = []
    annotated: list[Sample] = []
    for task in settings.tasks:
        world = PictureWorld(settings.seed, "train", {task: 1.0})
        kept += verified_solutions(
            model, processor, world, settings.problems, settings.samples, settings.max_new_tokens, settings.temperature
        )
        annotated += [world[settings.problems + i] for i in range(settings.annotated)]
    save_solutions(path, [*kept, *annotated])
    return len(kept)


def prepare(preset: str, overrides: Sequence[str] = ()) -> Callable[[str, Path, str | None], Sequence[str]]:
    """The hook before a stage: long-CoT fine-tuning needs its warm-up set, and the setting that names it, unless
    `overrides` name another.
    """

    def before(stage: str, directory: Path, init: str | None) -> Sequence[str]:
        if stage != "longcot" or any(setting.startswith("--data.solutions=") for setting in overrides):
            return ()
        path = directory / "solutions.jsonl"
        if not path.is_file():
            if init is None:
                raise UserError("longcot starts from a fine-tuned model: add --from, e.g. --from runs/small/sft")
            settings = rejection_settings(preset)
            directory.mkdir(parents=True, exist_ok=True)
            right = write_warm_up(init, path, settings)
            tried = settings.problems * len(settings.tasks)
            console.print(f"warm-up set: {right} of {tried} problems solved by the model itself")
        return (f"--data.solutions={path}",)

    return before


def examine(preset: str) -> Callable[[str, Path, str | None], None]:
    """The hook after a stage: scores.json, and after reinforcement learning gain.json; each once."""

    def after(stage: str, directory: Path, init: str | None) -> None:
        if stage in ASKED_IN and not (directory / "scores.json").is_file():
            mean = evaluate_stage(directory / "model", preset, ASKED_IN[stage])["mean"]["score"]
            console.print(f"{stage}: {mean:.0%} of the questions of seven small benchmarks")
        if stage == "rl" and init is not None and not (directory / "gain.json").is_file():
            found = compare(directory)
            console.print(f"rl: {change_text(found['gain'])}")
            if "by_length" in found:
                console.print(f"    of that since the length reward began: {change_text(found['by_length'])}")

    return after


def train_recipe(
    preset: str,
    stages: Sequence[str],
    run: Path,
    start: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
) -> None:
    """Train `stages` of `preset` into `run`, in order, with the warm-up set and the scores; see `train_stages`."""
    train_stages(preset, stages, run, start, resume, overwrite, overrides, prepare(preset, overrides), examine(preset))
