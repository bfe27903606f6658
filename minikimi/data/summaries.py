"""The words of a source, as a tokenizer reads them (lesson 09)."""

from __future__ import annotations

from collections.abc import Iterator

from minikimi.data.loader import Source


def iterate_texts(source: Source, n: int) -> Iterator[str]:
    """Question, answer, caption and worked steps of the first `n` samples, in turn."""
    for i in range(min(n, len(source))):
        sample = source[i]
        yield from (sample.question, sample.answer, sample.caption, sample.solution)
