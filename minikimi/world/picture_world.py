"""`PictureWorld`: an endless, indexable data set; item i is a pure function of (seed, split, i) (lesson 09).

Its tasks stand in `tasks/`, one file each.

Pictures: OpenMoji (https://openmoji.org), CC BY-SA 4.0; credit them wherever samples are shown.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Literal

import numpy as np

from minikimi.errors import UserError
from minikimi.sample import Sample
from minikimi.world.tasks import TASKS, task_named

DEFAULT_MIXTURE = {name: 1.0 for name, task in TASKS.items() if task.group != "long"}
SPLITS = ("train", "held_out")
ENDLESS = 2**40


class PictureWorld:
    """Scenes drawn on demand.

    seed: another seed is another world of the same kind. split: `train`, or `held_out`: combinations, values,
    handwriting and resolutions that training never draws. tasks: weights by task name (None: `DEFAULT_MIXTURE`); they
    need not sum to one. size: the declared length; the default is endless in practice, a small one makes a finite
    data set.

    Raises UserError for an unknown split or task and for weights that cannot be a mixture.
    """

    def __init__(
        self,
        seed: int = 0,
        split: Literal["train", "held_out"] = "train",
        tasks: Mapping[str, float] | None = None,
        size: int = ENDLESS,
    ) -> None:
        if split not in SPLITS:
            raise UserError(f"split {split!r} does not exist; choose one of {', '.join(SPLITS)}")
        self.seed, self.split, self.size = seed, split, size
        self.weights = _checked(DEFAULT_MIXTURE if tasks is None else tasks)
        self._names = list(self.weights)
        self._cumulative = list(accumulate(self.weights.values()))

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Sample:
        """Sample `index` (0 <= index < len): about 0.2 ms; the same content in any process and order."""
        if not 0 <= index < self.size:
            raise IndexError(f"index {index} is outside a picture world of {self.size} samples")
        rng = np.random.default_rng([self.seed, SPLITS.index(self.split), index])
        task = self._names[bisect(self._cumulative, rng.random() * self._cumulative[-1])]
        scene = TASKS[task].draw(rng, self.split == "held_out")
        return scene.sample(f"world-{self.seed}-{self.split}-{index}", task)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(self.size))


def _checked(tasks: Mapping[str, float]) -> dict[str, float]:
    """The weights above zero, or a UserError that names the wrong one."""
    for name, weight in tasks.items():
        task_named(name)  # or a UserError
        if not 0 <= weight < float("inf"):
            raise UserError(f"weight {weight} of task {name!r} must be a number of at least 0")
    kept = {name: float(weight) for name, weight in tasks.items() if weight > 0}
    if not kept:
        raise UserError("the task mixture is empty; give at least one task a weight above 0")
    return kept
