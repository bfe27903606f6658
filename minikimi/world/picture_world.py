"""`PictureWorld`: an endless, indexable data set; item i is a pure function of (seed, split, i) (lesson 09).

The tasks follow the data categories of the Kimi-VL report (arXiv 2504.07491, section 3.1):

- caption and grounding: caption, where, count;
- knowledge: flag, group; with numbers to work out: chart, sum;
- OCR: number, word, table, receipt;
- agent: click, desktop;
- interleaved: pages, pages_long, compare;
- video: motion, order;
- text alone: arithmetic, needle, needle_512, needle_2048.

Pictures: OpenMoji (https://openmoji.org), CC BY-SA 4.0; credit them wherever samples are shown.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Literal

import numpy as np

from minikimi.errors import UserError, unknown
from minikimi.sample import Sample
from minikimi.world import (
    charts,
    documents,
    glyph,
    needles,
    places,
    reading,
    screens,
    stories,
    sums,
    tables,
    things,
    trajectories,
    video,
)
from minikimi.world.canvas import Rng, Scene

TASKS: dict[str, Callable[[Rng, bool], Scene]] = {
    "glyph": glyph.glyph,
    "caption": places.caption,
    "where": places.where,
    "count": things.count,
    "group": things.group,
    "flag": things.flag,
    "number": reading.number,
    "word": reading.word,
    "table": tables.table,
    "receipt": tables.receipt,
    "chart": charts.chart,
    "sum": sums.sum_,
    "arithmetic": sums.arithmetic,
    "click": screens.click,
    "motion": video.motion,
    "order": video.order,
    "pages": documents.pages,
    "pages_long": documents.pages_long,
    "compare": documents.compare,
    "needle": needles.needle,
    "needle_512": needles.needle_512,
    "needle_2048": needles.needle_2048,
    "desktop": trajectories.desktop,
    "story": stories.story,
}
DEFAULT_MIXTURE = {task: 1.0 for task in TASKS if not task.endswith(("_512", "_2048", "_long"))}
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
        scene = TASKS[task](rng, self.split == "held_out")
        parts = scene.content or [{"type": "image"} for _ in scene.images] + [{"type": "text", "text": scene.question}]
        turns = [("user", parts), ("assistant", scene.answer)]
        messages: list[dict[str, Any]] = [{"role": role, "content": content} for role, content in turns]
        name = f"world-{self.seed}-{self.split}-{index}"
        return Sample(
            name,
            task,
            messages,
            scene.images,
            scene.answer,
            scene.caption,
            scene.solution,
            scene.more,
            scene.facts,
            scene.told or [scene.caption] * len(scene.images),
        )

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(self.size))


def _checked(tasks: Mapping[str, float]) -> dict[str, float]:
    """The weights above zero, or a UserError that names the wrong one."""
    for name, weight in tasks.items():
        if name not in TASKS:
            raise unknown("task of the picture world", name, TASKS)
        if not 0 <= weight < float("inf"):
            raise UserError(f"weight {weight} of task {name!r} must be a number of at least 0")
    kept = {name: float(weight) for name, weight in tasks.items() if weight > 0}
    if not kept:
        raise UserError("the task mixture is empty; give at least one task a weight above 0")
    return kept
