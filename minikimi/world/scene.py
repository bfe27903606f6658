"""What a task draws: finished images and one question about them, before it has a name (lesson 09)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from minikimi.sample import Sample, question_and_answer
from minikimi.world.canvas import Canvas


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Finished drawings with one question. The fields mean what they mean in `Sample`, with two of its own:

    question: the words after the images. label: of the images, see `question_and_answer`. Where `told` is empty, the
    caption tells each image.
    """

    images: list[Image.Image] = field(default_factory=list)
    question: str
    answer: str
    facts: dict[str, Any]
    caption: str = ""
    solution: str = ""
    more: list[tuple[str, str]] = field(default_factory=list)
    label: str = ""
    told: list[str] = field(default_factory=list)

    def sample(self, id: str, task: str) -> Sample:
        """The scene as a sample."""
        return Sample(
            id,
            task,
            question_and_answer(self.question, self.answer, len(self.images), self.label),
            self.images,
            self.answer,
            caption=self.caption,
            solution=self.solution,
            more=self.more,
            facts=self.facts,
            told=self.told or [self.caption] * len(self.images),
        )


def sheet_facts(kind: str, sheets: Sequence[Canvas], **more: Any) -> dict[str, Any]:
    """What is known about a scene of several sheets: `frames` holds the placements of each, `backgrounds` its
    background."""
    frames, backgrounds = [sheet.placements for sheet in sheets], [sheet.background for sheet in sheets]
    return {"kind": kind, "backgrounds": backgrounds, "frames": frames, **more}
