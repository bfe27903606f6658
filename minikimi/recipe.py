"""The whole recipe: the stages in order, what each one needs before it, what it changed, and the report.

Before long-CoT fine-tuning, the model writes its own warm-up set: worked solutions, kept where the answer is right.
After every stage, the same questions are asked again (`STAGE/scores.json`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minikimi.training.pipeline import STAGES, train_stages


def train_recipe(
    preset: str, run: Path, start: str | None, resume: bool, overwrite: bool, overrides: Sequence[str]
) -> None:
    """Train all stages of `preset` into `run`, with scores after each."""
    train_stages(preset, STAGES, run, start, resume, overwrite, overrides, before=prepare, after=examine(preset))
