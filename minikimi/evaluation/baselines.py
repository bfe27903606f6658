"""Three answers that cannot see, to stand beside every score (lesson 15).

* blind: the same model, asked without the pictures;
* chance: the expected score of a uniform guess, by the rule of the task (`Task.chance`);
* prior: the commonest answer that training gives to this kind of question.

A model that does not beat them has not used its eyes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from minikimi.data.loader import Source
from minikimi.evaluation.ask import ask
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.sample import Sample
from minikimi.world import TASKS, judged


@dataclass(frozen=True)
class KnownAnswers:
    """What training answers, by kind of question: the commonest answer, and how many different ones there are."""

    commonest: dict[str, str]
    counts: dict[str, int]


def known_answers(source: Source, n: int) -> KnownAnswers:
    """The answers among the first `n` samples of a training source; ties go to the alphabetically first."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for i in range(min(n, len(source))):
        sample = source[i]
        found[sample.kind][sample.answer] += 1
    return KnownAnswers(
        commonest={kind: min(tally, key=lambda answer: (-tally[answer], answer)) for kind, tally in found.items()},
        counts={kind: len(tally) for kind, tally in found.items()},
    )


def chance(sample: Sample, known: KnownAnswers) -> float:
    """The expected score of a uniform guess, from 0 to 1."""
    return TASKS[sample.task].chance(sample, known.counts)


def prior(sample: Sample, known: KnownAnswers) -> bool:
    """Whether the commonest answer is right; of a kind that training never asks, none is."""
    return judged(sample, known.commonest.get(sample.kind, "")).right


def blind_answers(
    model: KimiVL, processor: Processor, samples: Sequence[Sample], max_new_tokens: int, form: str
) -> list[list[int]] | list[None]:
    """What the model says without the pictures, as ids; None each where there is no picture to hide."""
    if any(sample.images for sample in samples):
        return ask(model, processor, samples, max_new_tokens, form, blind=True)
    return [None] * len(samples)
