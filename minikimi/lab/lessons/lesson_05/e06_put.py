"""Exercise 5.6: Put a token into the cache (difficulty 2, 3 minutes)

Hint 1: Sequences have different lengths, so each writes at a place of its own: index with two lists, rows and places.

Hint 2: buffer[torch.arange(B), lengths.long()] = entries. A sequence that holds n tokens has places 0 to n - 1 filled.

Why: The buffer never moves and never grows, so a decoding step can be recorded once and replayed on a GPU.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def put(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    """Write entries (B, W) into the buffer (B, capacity, W), sequence b's at place lengths[b]; returns the buffer."""
    buffer[torch.arange(len(entries)), lengths.long()] = entries
    return buffer


def put_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Sequences of different lengths, one of them empty; capacity to spare, so that an index too large is no error.
    return [
        (
            numbers(seed, 3, 7, 4, dtype=dtype),
            numbers(seed + 1, 3, 4, dtype=dtype),
            torch.tensor([2, 0, 4], dtype=torch.int32),
        ),
        (
            numbers(seed + 2, 2, 5, 3, dtype=dtype),
            numbers(seed + 3, 2, 3, dtype=dtype),
            torch.tensor([1, 3], dtype=torch.int32),
        ),
    ]


def run_put(answer, buffer: Tensor, entries: Tensor, lengths: Tensor):
    """What is returned, and what has become of the buffer that was given."""
    result = answer(buffer, entries, lengths)
    return None if result is None else (result, buffer)


@wrong(
    "every entry into every sequence",
    "buffer[:, lengths] takes all rows for each place. Pair them: torch.arange(B) beside lengths.",
)
def put_everywhere(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    buffer[:, lengths.long()] = entries
    return buffer


@wrong("all at the longest one's place", "This leaves holes in the shorter sequences: sequence b writes at lengths[b].")
def put_at_longest(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    buffer[:, int(lengths.max())] = entries
    return buffer


@wrong("one place too late", "Places count from 0: with n tokens stored, place n is free.")
def put_one_later(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    return put(buffer, entries, lengths + 1)


@wrong("one place too early", "This overwrites the last token, and for an empty sequence index -1 is the buffer's END.")
def put_one_earlier(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    return put(buffer, entries, lengths - 1)


@wrong("a copy", "Write into the given buffer itself: copying it costs its whole size.")
def put_in_a_copy(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    return put(buffer.clone(), entries, lengths)


EXERCISE = Exercise(**words(__doc__), solution=put, cases=put_cases, run=run_put, dtypes=BOTH, wrong=wrong)
