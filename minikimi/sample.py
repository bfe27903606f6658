"""One training example: pictures, a conversation about them, and what is known about it exactly.

Every source of data (the picture world, a user's own `datasets` table) yields `Sample`s, and everything downstream
(packing, evaluation, contact sheets) reads nothing else. Lesson 09 builds this; the roles follow the Kimi-VL report
(arXiv 2504.07491, section 3.1), in which all six data categories are chat-formatted image-text sequences.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from PIL import Image


@dataclass(frozen=True)
class Sample:
    """A conversation about zero or more images.

    id: unique and reproducible, e.g. `world-0-train-17`.
    task: what is asked, e.g. `count`; the unit of mixing and of reporting.
    messages: chat turns; image parts `{"type": "image"}` stand in the order of `images`.
    answer: the exact reference answer (the last assistant turn).
    caption: a full description of the images, so that any sample can serve as an image-text pair.
    solution: worked steps that lead to the answer; empty where there is nothing to think about.
    more: further questions about the same images, with their answers; they follow as more turns in training.
    facts: what the drawing program knows (placements, value, colours); empty for data that was not drawn here.
    told: each image in words, so that a sample can be read without its pictures; empty where nobody wrote them.
    """

    id: str
    task: str
    messages: list[dict[str, Any]]
    images: list[Image.Image]
    answer: str
    caption: str = ""
    solution: str = ""
    more: list[tuple[str, str]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The question type: finer than the task where one task asks two things (`where.place`, `where.thing`)."""
        return self.facts.get("kind", self.task)

    @property
    def question(self) -> str:
        """The words of the last user turn that follow its images."""
        content = [m["content"] for m in self.messages if m["role"] == "user"][-1]
        if isinstance(content, str):
            return content
        last = max((i for i, part in enumerate(content) if part["type"] == "image"), default=-1)
        return "".join(part["text"] for part in content[last + 1 :])


def question_and_answer(question: str, answer: str, images: int = 1) -> list[dict[str, Any]]:
    """The commonest conversation: `images` image parts and a question from the user, then the answer."""
    parts = [{"type": "image"} for _ in range(images)] + [{"type": "text", "text": question}]
    return [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": answer},
    ]
