"""Several images in one question: words between them, and which picture may stand on which (lesson 09)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from minikimi.world.canvas import Canvas, Rng, Scene, pick
from minikimi.world.holdout import ordinal_held_out
from minikimi.world.vocabulary import NAMES


def interleave(label: str, images: int, question: str) -> list[dict[str, Any]]:
    """The parts of a user's turn: `Page 1:`, an image, `Page 2:`, an image, ..., then the question."""
    parts: list[dict[str, Any]] = []
    for number in range(1, images + 1):
        parts += [{"type": "text", "text": f"{label} {number}:"}, {"type": "image"}]
    return [*parts, {"type": "text", "text": question}]


def numbered_scene(
    label: str,
    sheets: list[Canvas],
    kind: str,
    turns: Sequence[tuple[str, str]],
    caption: str,
    told: list[str],
    solution: str = "",
    **more: Any,
) -> Scene:
    """A scene of several sheets, each `told` in words, with one or more questions and answers (`turns`).

    facts["frames"] holds the placements of each sheet, facts["backgrounds"] its background.
    """
    facts = {"kind": kind, "backgrounds": [s.background for s in sheets], "frames": [s.placements for s in sheets]}
    facts |= more
    (question, answer), *others = turns
    content = interleave(label, len(sheets), question)
    images = [sheet.image for sheet in sheets]
    return Scene(images, question, answer, caption, facts, solution, others, content, told)


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
