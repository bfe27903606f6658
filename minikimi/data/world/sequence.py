"""Several images in one question: words between them, and which picture may stand on which (lesson 09)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minikimi.data.world.canvas import Rng, pick
from minikimi.data.world.holdout import ordinal_held_out
from minikimi.data.world.vocabulary import NAMES


def interleave(label: str, images: int, question: str) -> list[dict[str, Any]]:
    """The parts of a user's turn: `Page 1:`, an image, `Page 2:`, an image, ..., then the question."""
    parts: list[dict[str, Any]] = []
    for number in range(1, images + 1):
        parts += [{"type": "text", "text": f"{label} {number}:"}, {"type": "image"}]
    return [*parts, {"type": "text", "text": question}]


def draw_names(rng: Rng, numbers: Sequence[int], new: int | None = None, taken: Sequence[str] = ()) -> dict[int, str]:
    """A different picture for each of the image numbers (from 1), none of them in `taken`.

    new: in a held-out scene, the number whose picture training never shows there (the others may be any); None in a
    training scene, where no held-out pair may appear at all.
    """
    names: dict[int, str] = {}
    for number in [new, *numbers] if new else numbers:
        if number not in names:
            free = new is not None and number != new
            pool = [n for n in NAMES if free or ordinal_held_out(n, number) == (number == new)]
            names[number] = pick(rng, [n for n in pool if n not in names.values() and n not in taken])
    return {number: names[number] for number in numbers}
