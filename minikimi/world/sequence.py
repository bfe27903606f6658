"""Which picture may stand on which of several images (lesson 09)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from minikimi.world.canvas import Rng, pick
from minikimi.world.holdout import ordinal_held_out
from minikimi.world.vocabulary import NAMES


def draw_name(rng: Rng, numbers: Sequence[int], taken: Collection[str], new: bool = False) -> str:
    """A picture, none of `taken`, that training may show on all of the image `numbers` (from 1), or, if `new`, on
    none of them."""
    fitting = [n for n in NAMES if all(ordinal_held_out(n, number) == new for number in numbers)]
    return pick(rng, [n for n in fitting if n not in taken])


def draw_names(rng: Rng, numbers: Sequence[int], new: int | None = None) -> dict[int, str]:
    """A different picture for each of the image numbers; only that of the number `new` is held out from training."""
    names = {} if new is None else {new: draw_name(rng, [new], (), new=True)}
    for number in numbers:
        if number != new:
            names[number] = draw_name(rng, [number], names.values())
    return {number: names[number] for number in numbers}
