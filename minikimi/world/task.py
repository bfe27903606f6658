"""What a task of the picture world is, and the few rules by which tasks judge and guess (lessons 09 and 15).

A task is one `Task` object in a file of its own in `tasks/`. Mixtures, mini-benchmarks, rewards, baselines and the
tests of what is held out follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from minikimi.answers import Verdict, exact_match, point_in_box
from minikimi.sample import Sample
from minikimi.world.canvas import Rng
from minikimi.world.scene import Scene

EXTRA = "extra"  # the benchmark of a task that is asked in an examination but counts in no mini-benchmark

Draw = Callable[[Rng, bool], Scene]
Judge = Callable[[Sample, str], Verdict]
Chance = Callable[[Sample, Mapping[str, int]], float]


def exactly(sample: Sample, output: str) -> Verdict:
    """Right only if the whole answer is the reference answer."""
    return exact_match(output, sample.answer)


def in_the_box(sample: Sample, output: str) -> Verdict:
    """Right if the output points into `facts["box"]`; where that is None or missing, `exactly`."""
    box = sample.facts.get("box")
    return point_in_box(output, box) if box else exactly(sample, output)


def one_of_the_answers(sample: Sample, counts: Mapping[str, int]) -> float:
    """One over the number of answers that training gives to this kind of question; 0 if it never asks it."""
    return 1 / counts[sample.kind] if counts.get(sample.kind) else 0.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that the project knows about one task.

    name: as in mixtures and tables, and of its file. draw: (rng, held_out) -> scene; with `held_out`, one that training
    never draws. judge: (sample, output) -> verdict, the rule of the examination and, made stricter in `rl/rewards.py`,
    of training. chance: (sample, counts) -> expected score of a uniform guess, where `counts` says how many answers
    training gives to each kind of question. benchmark: the mini-benchmark that it counts in, or `EXTRA`; None: it is
    for training only. thinks: whether some of its samples have worked steps. group: what a mixture calls it by:

    - `alphabet`: a lone thing in a single image token;
    - `pictures`: questions about one or more images;
    - `words`: no image;
    - `long`: from about 400 tokens on; in no mixture unless it is asked for.
    """

    name: str
    draw: Draw
    judge: Judge = exactly
    chance: Chance = one_of_the_answers
    benchmark: str | None = None
    thinks: bool = False
    group: str = "pictures"
