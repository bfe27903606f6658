"""Sample conversations for the report: pictures saved beside their questions, failures included (lesson 15)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minikimi.evaluation.minis import Outcome
from minikimi.world import TASKS


def choose(outcomes: Mapping[str, Sequence[Outcome]], count: int) -> list[Outcome]:
    """`count` outcomes, right and wrong in the proportion of the whole, but at least one of each kind there is.

    Right ones are taken from the first tasks on, wrong ones from the last task back, so that few conversations show
    many tasks.
    """
    right, wrong = (
        {task: [o for o in found if o.verdict.right is correct] for task, found in outcomes.items()}
        for correct in (True, False)
    )
    successes, failures = in_turn(list(right.values())), in_turn(list(wrong.values())[::-1])
    share = len(failures) / max(1, len(successes) + len(failures))
    kept = min(max(round(count * share), min(1, len(failures))), count - min(1, len(successes)))
    return successes[: count - kept] + failures[:kept]


def in_turn(groups: Sequence[Sequence[Outcome]]) -> list[Outcome]:
    """The first of every group, then the second of every group, and so on."""
    longest = max(map(len, groups), default=0)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]


def save_samples(run: Path, outcomes: Mapping[str, Sequence[Outcome]], count: int) -> list[dict[str, Any]]:
    """Save the pictures of `count` chosen outcomes in `run`/samples/; returns the entry `samples` of evaluation.json.

    Those with one picture come first, so samples/00.png is there to chat about. Pictures of an earlier evaluation are
    removed.
    """
    shutil.rmtree(run / "samples", ignore_errors=True)
    (run / "samples").mkdir()
    return [
        entry(run, f"samples/{number:02d}", outcome)
        for number, outcome in enumerate(sorted(choose(outcomes, count), key=lambda o: len(o.sample.images) != 1))
    ]


def entry(run: Path, stem: str, outcome: Outcome) -> dict[str, Any]:
    """One conversation, its pictures saved as `stem`.png, or `stem`-1.png and so on where there are several."""
    sample = outcome.sample
    names = [f"{stem}.png"] if len(sample.images) == 1 else [f"{stem}-{i + 1}.png" for i in range(len(sample.images))]
    for name, image in zip(names, sample.images, strict=True):
        image.save(run / name)
    return {
        "task": sample.task,
        "benchmark": TASKS[sample.task].benchmark,
        "question": sample.question,
        "answer": outcome.verdict.answer or "",
        "truth": sample.answer,
        "raw": outcome.output,
        "correct": outcome.verdict.right,
        "images": names,
        "image": names[0] if names else "",
    }
