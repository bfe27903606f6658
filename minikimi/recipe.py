"""The whole recipe: the stages in order, what a stage needs before it, and what it changed (lesson 13).

Before long-CoT fine-tuning the model writes its own warm-up set: worked solutions, of which those with the right answer
are kept. After a stage the same questions are asked again (`STAGE/scores.json`), so that each stage shows what it did.
Source: Kimi-VL report (arXiv 2504.07491), section 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from minikimi.configs import settings
from minikimi.data.solutions import save_solutions
from minikimi.errors import UserError
from minikimi.evaluation.evaluate import evaluate_stage
from minikimi.loading import load
from minikimi.report.training import change_text
from minikimi.rl.compare import compare
from minikimi.rl.rejection import verified_solutions
from minikimi.sample import Sample
from minikimi.training.run import Visit, train_stages
from minikimi.training.stages import STAGES
from minikimi.world import PictureWorld

console = Console(highlight=False)


@dataclass(frozen=True)
class Rejection:
    """`configs/rejection.yaml`: how the warm-up set is made.

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

    @classmethod
    def of(cls, preset: str) -> Rejection:
        """Raises `UserError` if settings are missing, or others are there."""
        try:
            return cls(**settings(preset, "rejection"))
        except TypeError as error:
            raise UserError(f"rejection.yaml of {preset}: {error}; give every setting of the warm-up set") from None


def write_warm_up(directory: str, path: Path, wanted: Rejection) -> int:
    """Sample worked solutions with a model, keep the right ones, add the annotated ones; returns how many are right."""
    model, processor = load(directory)
    kept: list[Sample] = []
    annotated: list[Sample] = []
    for task in wanted.tasks:
        world = PictureWorld(wanted.seed, "train", {task: 1.0})
        kept += verified_solutions(
            model, processor, world, wanted.problems, wanted.samples, wanted.max_new_tokens, wanted.temperature
        )
        annotated += [world[wanted.problems + i] for i in range(wanted.annotated)]
    save_solutions(path, [*kept, *annotated])
    return len(kept)


def warm_up(visit: Visit) -> Sequence[str]:
    """Before long-CoT fine-tuning: the warm-up set, written once, and the setting that names it; nothing if the user
    names another. Raises `UserError` if there is no model to sample from.
    """
    if any(setting.startswith("--data.solutions=") for setting in visit.overrides):
        return ()
    path = visit.directory / "solutions.jsonl"
    if not path.is_file():
        if visit.init is None:
            raise UserError(f"{visit.stage} starts from a fine-tuned model: add --from, e.g. --from runs/small/sft")
        wanted = Rejection.of(visit.preset)
        visit.directory.mkdir(parents=True, exist_ok=True)
        right = write_warm_up(visit.init, path, wanted)
        tried = wanted.problems * len(wanted.tasks)
        console.print(f"warm-up set: {right} of {tried} problems solved by the model itself")
    return (f"--data.solutions={path}",)


def scores(visit: Visit) -> None:
    """After a stage whose model can be asked: `scores.json`, once."""
    form = STAGES[visit.stage].asked_as
    if form and not (visit.directory / "scores.json").is_file():
        mean = evaluate_stage(visit.directory / "model", visit.preset, form)["mean"]["score"]
        console.print(f"{visit.stage}: {mean:.0%} of the questions of seven small benchmarks")


def gain(visit: Visit) -> None:
    """After reinforcement learning that began with a model: `gain.json`, once."""
    if visit.init is not None and not (visit.directory / "gain.json").is_file():
        found = compare(visit.directory)
        console.print(f"{visit.stage}: {change_text(found['gain'])}")
        if "by_length" in found:
            console.print(f"    of that since the length reward began: {change_text(found['by_length'])}")


BEFORE = {"warm_up": warm_up}  # by the names in `training/stages.py`
AFTER = {"scores": scores, "gain": gain}


def train_recipe(preset: str, stages: Sequence[str], run: Path, start: str | None = None, **options: Any) -> None:
    """Train `stages` of `preset` into `run`, in order, with the warm-up set and the scores.

    options: resume, overwrite and overrides, as `train_stages` takes them.
    """
    train_stages(preset, stages, run, start, before=BEFORE, after=AFTER, **options)
