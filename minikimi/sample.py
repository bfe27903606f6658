"""One training example: pictures, a conversation about them, and what is known about it exactly.

Every source of data (the picture world, a user's own `datasets` table) yields `Sample`s, and everything downstream
(packing, evaluation, contact sheets) reads nothing else. Lesson 09 builds this; the roles follow the Kimi-VL report
(arXiv 2504.07491, section 3.1), in which all six data categories are chat-formatted image-text sequences.

Five words have one meaning in the whole project, and this is where they are explained:

* caption: a full description of all images, from which the answer follows;
* told: the images in words, one text each. A text stands where its image would, so that a model without eyes can
  read the sample. For a single image it is often the caption; for a page of five it describes that page alone;
* solution: worked steps that lead to the answer and end with it;
* facts: what the drawing program knows (placements, values, colours, which box is right): for checks and scoring, never
  shown to a model;
* kind: the type of question, finer than the task where one task asks two things: `where.place`, `where.thing`.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from PIL import Image


@dataclass(frozen=True)
class Sample:
    """A conversation about zero or more images. `told`, `facts` and the like: see the top of this module."""

    id: str  # unique and reproducible, e.g. `world-0-train-17`
    task: str  # what is asked, e.g. `count`; the unit of mixing and of reporting
    messages: list[dict[str, Any]]  # chat turns; image parts `{"type": "image"}` stand in the order of `images`
    images: list[Image.Image]
    answer: str  # the exact reference answer (the last assistant turn)
    _: KW_ONLY
    caption: str = ""
    solution: str = ""  # empty where there is nothing to think about
    more: list[tuple[str, str]] = field(default_factory=list)  # further questions about the images, with their answers
    facts: dict[str, Any] = field(default_factory=dict)  # empty for data that was not drawn here
    told: list[str] = field(default_factory=list)  # empty where nobody wrote it

    @property
    def kind(self) -> str:
        """The type of question: `facts["kind"]`, or the task where it asks only one."""
        return self.facts.get("kind", self.task)

    @property
    def question(self) -> str:
        """The words of the last user turn that follow its images."""
        content = [m["content"] for m in self.messages if m["role"] == "user"][-1]
        if isinstance(content, str):
            return content
        last = max((i for i, part in enumerate(content) if part["type"] == "image"), default=-1)
        return "".join(part["text"] for part in content[last + 1 :])


def question_and_answer(question: str, answer: str, images: int = 1, label: str = "") -> list[dict[str, Any]]:
    """The commonest conversation: `images` image parts and a question from the user, then the answer.

    label: what to call the images where words stand between them: with `Page`, `Page 1:` stands before the first.
    """
    parts: list[dict[str, Any]] = []
    for number in range(1, images + 1):
        parts += [{"type": "text", "text": f"{label} {number}:"}] if label else []
        parts.append({"type": "image"})
    return [
        {"role": "user", "content": [*parts, {"type": "text", "text": question}]},
        {"role": "assistant", "content": answer},
    ]
