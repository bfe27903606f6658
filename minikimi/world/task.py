"""What a task of the picture world is, and the few rules by which tasks judge and guess (lessons 09 and 15).

A task is one `Task` object in a file of its own in `tasks/`. Mixtures, mini-benchmarks, rewards, baselines and the
tests of what is held out follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from minikimi.answers import Verdict, exact_match, point_in_box
from minikimi.sample import Sample
from minikimi.world.canvas import Rng
from minikimi.world.scene import Scene

EXTRA = "extra"  # the benchmark of a task that is asked in an examination but counts in no mini-benchmark

Draw = Callable[[Rng, bool], Scene]
Chance = Callable[[Sample, Mapping[str, int]], float]


class Judge(Protocol):
    """When is an output right? Read from the sample's answer and facts alone. alone: as training wants it, see
    `answers.py`.
    """

    def __call__(self, sample: Sample, output: str, alone: bool = False) -> Verdict: ...


def exactly(sample: Sample, output: str, alone: bool = False) -> Verdict:
    """Right only if the whole answer is the reference answer."""
    return exact_match(output, sample.answer, alone)


def in_the_box(sample: Sample, output: str, alone: bool = False) -> Verdict:
    """Right if the output points into `facts["box"]`; where that is None or missing, `exactly`."""
    box = sample.facts.get("box")
    return point_in_box(output, box, alone) if box else exactly(sample, output, alone)


def one_of_the_answers(sample: Sample, counts: Mapping[str, int]) -> float:
    """One over the number of answers that training gives to this kind of question; 0 if it never asks it."""
    return 1 / counts[sample.kind] if counts.get(sample.kind) else 0.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that the project knows about one task of the picture world.

    A mixture calls tasks by their group:

    * `glyphs`: a lone thing in a single image token;
    * `pictures`: questions about one or more images;
    * `words`: no image;
    * `long`: from about 400 tokens on; in no mixture that does not ask for it.
    """

    name: str  # as in mixtures and tables; also the name of its file
    draw: Draw  # (rng, held_out) -> scene; with `held_out`, one that training never draws
    judge: Judge = exactly  # the rule of the examination and, with `alone`, of training
    chance: Chance = one_of_the_answers  # (sample, answers that training gives by kind) -> expected score of a guess
    benchmark: str | None = None  # the mini-benchmark that it counts in, or `EXTRA`; None: for training only
    thinks: bool = False  # whether some of its samples have worked steps
    group: str = "pictures"
