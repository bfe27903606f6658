"""What a finding is: a claim of a paper, a measurement for one seed, a verdict over all seeds, and a plot.

The verdict's rule is written down before anything is measured and asks for the direction of the effect in every seed,
so that a toy that does not show the effect says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

Measurement = dict[str, Any]  # plain numbers, texts and lists: it is written to findings.json and drawn from there
Prepared = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """`reproduced`, one sentence with the measured numbers, and the numbers by name."""

    reproduced: bool
    sentence: str
    numbers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """A claim and how it is measured again.

    name: as on the command line. claim: the paper's, with its numbers. rule: what counts as reproduced here.
    measure(seed, quick, prepared): all numbers of one seed; `quick` is for tests, too short to show anything.
    judge(measurements of all seeds): the verdict. draw(axes, measurements): one picture.
    prepare(quick): work done once, on seed 0, which is no seed of a measurement: the search for learning rates.
    """

    name: str
    title: str
    claim: str
    source: str
    rule: str
    measure: Callable[[int, bool, Prepared], Measurement]
    judge: Callable[[Sequence[Measurement]], Verdict]
    draw: Callable[[Any, Sequence[Measurement]], None]
    prepare: Callable[[bool], Prepared] | None = None

    @classmethod
    def of(cls, name: str, module: Any) -> Finding:
        """The finding that a module of this package is: its words in capitals, its functions by their names."""
        words = {word: getattr(module, word.upper()) for word in ("title", "claim", "source", "rule")}
        work = {word: getattr(module, word) for word in ("measure", "judge", "draw")}
        return cls(name=name, **words, **work, prepare=getattr(module, "prepare", None))


def column(measurements: Sequence[Measurement], key: str) -> list[Any]:
    """One value of every seed."""
    return [m[key] for m in measurements]


def average(measurements: Sequence[Measurement], key: str) -> Any:
    """Mean over the seeds of a number, or of a list of numbers place by place."""
    values = column(measurements, key)
    if isinstance(values[0], list):
        return [mean(place) for place in zip(*values, strict=True)]
    return mean(values)


def span(values: Sequence[float], digits: int = 2) -> str:
    """Mean and range over the seeds, e.g. `0.52 (0.49 to 0.55)`."""
    return f"{mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
