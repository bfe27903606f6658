"""What can be known without looking: all texts, and the best blind guess per question (lessons 09 and 15).

A model that does not beat `most_common_answers` has not used its eyes; report it in every table next to the trained
model.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from minikimi.data.loader import Source


def iterate_texts(source: Source, n: int) -> Iterator[str]:
    """Question, answer, caption and worked steps of the first `n` samples, in turn: the corpus of a tokenizer."""
    for i in range(min(n, len(source))):
        sample = source[i]
        yield from (sample.question, sample.answer, sample.caption, sample.solution)


def most_common_answers(source: Source, n: int) -> dict[str, str]:
    """The commonest answer of each question type (`Sample.kind`) among the first `n` samples; ties: alphabetical.

    Build it on the training split and score it on the held-out one: `answers[sample.kind]` is the prior's guess.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for i in range(min(n, len(source))):
        sample = source[i]
        counts[sample.kind][sample.answer] += 1
    return {kind: min(c, key=lambda answer: (-c[answer], answer)) for kind, c in counts.items()}
