"""Exercise 0.1: A question about several pictures (difficulty 1, 3 minutes)

Hint 1: Collect parts in a list: for each picture a label, if there are several pictures, and the picture; last the
question.

Hint 2: enumerate(images, 1) counts from 1; a picture is {"type": "image", "image": image}; return [{"role": "user",
"content": parts}].

Why: The model reads pictures and words in one row. A question that stands behind the pictures can look back at them;
pictures behind it could not change how it was read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()

Messages = list[dict[str, Any]]


def question_turn(question: str, images: list, label: str = "Image") -> Messages:
    """A conversation of one user message: the images, numbered if there are several, then the question."""
    parts: list[dict[str, Any]] = []
    for number, image in enumerate(images, 1):
        if len(images) > 1:
            parts.append({"type": "text", "text": f"{label} {number}:"})
        parts.append({"type": "image", "image": image})
    parts.append({"type": "text", "text": question})
    return [{"role": "user", "content": parts}]


def turn_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # One picture, two and three: the rule for the numbers differs between the first and the rest.
    two, three = ["cat.png", f"dog{seed}.png"], ["a.png", "b.png", "c.png"]
    return [("What is this?", ["cat.png"]), (f"Which shows thing {seed}?", two), ("Which way?", three, "Frame")]


def parts_in_order(run: Callable, question: str, images: list, label: str = "Image") -> None:
    result = run(question, images, label)
    if not isinstance(result, list) or len(result) != 1 or not isinstance(result[0], dict):
        raise Misfit("a conversation is a list of messages, here a list with a single dict: role and content")
    mine, true = (outline(messages[0].get("content")) for messages in (result, question_turn(question, images, label)))
    if mine != true:
        raise Misfit(f"for {len(images)} image(s) the parts are [{mine}], expected [{true}]")


def outline(parts: Any) -> str:
    if isinstance(parts, str):
        return parts
    return ", ".join(str(part.get("text", part.get("type"))) for part in parts if isinstance(part, dict))


@wrong(
    "question first",
    "The question belongs behind the pictures, as in training; a part can only look back at earlier ones.",
)
def question_first(question: str, images: list, label: str = "Image") -> Messages:
    (message,) = question_turn(question, images, label)
    *pictures, last = message["content"]
    return [message | {"content": [last, *pictures]}]


@wrong("numbers from zero", "People and training data count pictures from 1: enumerate(images, 1).")
def numbered_from_zero(question: str, images: list, label: str = "Image") -> Messages:
    (message,) = question_turn(question, images, label)
    names = {f"{label} {number}:": f"{label} {number - 1}:" for number in range(1, len(images) + 1)}
    parts = [p if p["type"] == "image" else p | {"text": names.get(p["text"], p["text"])} for p in message["content"]]
    return [message | {"content": parts}]


@wrong("a label on a lone picture", "A single picture carries no label: write one only where len(images) > 1.")
def always_numbered(question: str, images: list, label: str = "Image") -> Messages:
    (message,) = question_turn(question, images, label)
    first = [] if len(images) > 1 else [{"type": "text", "text": f"{label} 1:"}]
    return [message | {"content": [*first, *message["content"]]}]


@wrong("a message for every part", "All parts belong to one user message: its content is the list of parts.")
def message_per_image(question: str, images: list, label: str = "Image") -> Messages:
    (message,) = question_turn(question, images, label)
    return [{"role": "user", "content": [part]} for part in message["content"]]


@wrong(
    "a message instead of a conversation",
    "A conversation is a list of messages, also when there is only one: put it in a list.",
)
def not_in_a_list(question: str, images: list, label: str = "Image") -> dict[str, Any]:
    return question_turn(question, images, label)[0]


EXERCISE = Exercise(
    **words(__doc__), solution=question_turn, cases=turn_cases, properties=(parts_in_order,), wrong=wrong
)
