"""Exercise 0.6: Blindfold the model (difficulty 2, 3 minutes)

Hint 1: Build a new message for each old one; where the content is a list, keep the parts that are not images.

Hint 2: {**message, "content": [part for part in content if part["type"] != "image"]}; a content that is a string stays.

Why: The blind score says how much can be guessed from the question alone. Only what lies above it is seeing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_00.e01_question_turn import Messages, outline, question_turn

wrong = Wrongs()


def without_pictures(messages: Messages) -> Messages:
    """The same conversation without its image parts; the messages given are left as they are."""
    blind = []
    for message in messages:
        content = message["content"]
        if not isinstance(content, str):
            content = [part for part in content if part["type"] != "image"]
        blind.append({**message, "content": content})
    return blind


def run_blind(answer: Callable, messages: Messages) -> Any:
    result = answer(messages)
    return None if result is None else (result, messages)


def conversation_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A later turn with a picture, an answer that is a plain string, and labels between several pictures.
    clip = question_turn(f"Which way does thing {seed} go?", ["a.png", "b.png", "c.png"], "Frame")
    first = question_turn("What is this?", [f"cat{seed}.png"])
    return [(clip,), ([*first, {"role": "assistant", "content": "cat"}, *question_turn("And this?", ["dog.png"])],)]


def leaves_the_original(run: Callable, messages: Messages) -> None:
    before = sum(len(message["content"]) for message in messages if not isinstance(message["content"], str))
    _, after = run(messages)
    left = sum(len(message["content"]) for message in after if not isinstance(message["content"], str))
    if left != before:
        raise Misfit(f"the conversation given had {before} parts and has {left} after the call: build a new one")


def the_parts_left(run: Callable, messages: Messages) -> None:
    result, _ = run(messages)
    for mine, true in zip(result, without_pictures(messages), strict=False):
        if mine != true:
            raise Misfit(f"a message is left as [{outline(mine['content'])}], expected [{outline(true['content'])}]")
    if len(result) != len(messages):
        raise Misfit(f"{len(messages)} messages became {len(result)}: a message keeps its place, only its pictures go")


@wrong("changed in place", "The caller still needs the pictures. Copy the message: {**message, 'content': ...}.")
def in_place(messages: Messages) -> Messages:
    for message in messages:
        if not isinstance(message["content"], str):
            message["content"] = [part for part in message["content"] if part["type"] != "image"]
    return messages


@wrong("whole messages dropped", "The question stands in the same message as the picture, and must stay.")
def whole_messages_dropped(messages: Messages) -> Messages:
    return [
        m for m in messages if isinstance(m["content"], str) or all(part["type"] != "image" for part in m["content"])
    ]


@wrong(
    "only the first picture removed",
    "A clip has several pictures in one message: keep every part that is not an image, drop all that are.",
)
def first_picture_only(messages: Messages) -> Messages:
    def shorter(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        at = next((i for i, part in enumerate(parts) if part["type"] == "image"), len(parts))
        return parts[:at] + parts[at + 1 :]

    return [m if isinstance(m["content"], str) else {**m, "content": shorter(m["content"])} for m in messages]


@wrong(
    "labels removed too",
    "Drop the pictures and nothing else: 'Frame 1:' is text and stays, or two things change at once.",
)
def question_only(messages: Messages) -> Messages:
    return [m if isinstance(m["content"], str) else {**m, "content": m["content"][-1:]} for m in messages]


@wrong("later turns forgotten", "Later messages carry pictures too: go through all of them.")
def first_message_only(messages: Messages) -> Messages:
    return [*without_pictures(messages[:1]), *messages[1:]]


properties = (leaves_the_original, the_parts_left)
EXERCISE = Exercise(
    **words(__doc__),
    solution=without_pictures,
    cases=conversation_cases,
    run=run_blind,
    properties=properties,
    wrong=wrong,
)
