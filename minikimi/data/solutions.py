"""Worked solutions that a model wrote and a rule verified: the warm-up set of long-CoT fine-tuning (lesson 13).

A file holds one JSON object a line: the task, seed and index of a sample of the picture world, and the solution. The
pictures are drawn again on reading, so the file stays small. Source: Kimi-VL report (arXiv 2504.07491), section 2.4.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from minikimi.errors import UserError
from minikimi.files import read_json_lines, write_json_lines
from minikimi.sample import Sample
from minikimi.world import PictureWorld


def save_solutions(path: Path, samples: Iterable[Sample]) -> None:
    """Write the solutions of samples that come from worlds of one task each (`PictureWorld(seed, tasks={task: 1})`)."""
    rows = []
    for sample in samples:
        _, seed, _, index = sample.id.split("-")
        rows.append({"task": sample.task, "seed": int(seed), "index": int(index), "solution": sample.solution})
    write_json_lines(path, rows)


class Solutions:
    """The samples of such a file, each with the solution that was verified. Raises UserError if it is missing, empty
    or not of this form.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: not found; train the stage sft first, then longcot writes it")
        try:
            rows = [row for _, row in read_json_lines(path)]
            self.rows = [(str(r["task"]), int(r["seed"]), int(r["index"]), str(r["solution"])) for r in rows]
        except (ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise UserError(f"{path}: not a file of solutions ({reason}); delete it and run the stage again") from None
        if not self.rows:
            raise UserError(f"{path}: holds no solution; the model before could not solve one problem")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        task, seed, number, solution = self.rows[index]
        return replace(PictureWorld(seed, "train", {task: 1.0})[number], solution=solution)
