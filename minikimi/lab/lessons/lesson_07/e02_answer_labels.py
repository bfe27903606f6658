"""Exercise 7.2: Label the answers only (difficulty 2, 4 minutes)

Hint 1: A label for every token: the id itself in an assistant's turn behind the opening, -100 everywhere else.

Hint 2: skipped = opening if role == 'assistant' else len(ids); labels += [-100] * skipped + ids[skipped:].

Why: The model must not learn to ask the user's questions. It must learn to stop, so the closing <|im_end|> counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_07.e01_turn_ids import turn_ids
from minikimi.lab.lessons.lesson_07.shared import token_name, tokenizer

wrong = Wrongs()

Turns = list[tuple[str, list[int]]]


def answer_labels(turns: Turns, opening: int = 3) -> Tensor:
    """Turns (role, ids) to labels (T,): the id where the loss looks, -100 elsewhere; not shifted."""
    labels: list[int] = []
    for role, ids in turns:
        skipped = opening if role == "assistant" else len(ids)
        labels += [-100] * skipped + ids[skipped:]
    return torch.tensor(labels)


def conversation_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    def turn(role: str, words: str) -> tuple[str, list[int]]:
        return role, turn_ids(role, [("text", words)], tokenizer())

    first = [turn("user", "What is this?"), turn("assistant", "a cat" if seed else "a small dog")]
    return [(first,), ([turn("system", "Be brief"), *first, turn("user", "Where?"), turn("assistant", "left")],)]


def _labelled(opening: int = 3, roles: Sequence[str] = ("assistant",), unlearnt_end: int = 0):
    def answer(turns: Turns) -> Tensor:
        labels: list[int] = []
        for role, ids in turns:
            start, end = (opening, len(ids) - unlearnt_end) if role in roles else (len(ids), len(ids))
            labels += [-100] * start + ids[start:end] + [-100] * (len(ids) - end)
        return torch.tensor(labels)

    return answer


@wrong(
    "shifted already",
    "labels[t] belongs to token t itself. The shift by one comes later, in exercise 7.4; twice is one too many.",
)
def shifted_already(turns: Turns) -> Tensor:
    labels = answer_labels(turns).roll(-1)
    labels[-1] = -100
    return labels


def one_label_each(run, turns: Turns) -> None:
    labels, length = run(turns), sum(len(ids) for _, ids in turns)
    if len(labels) != length:
        raise Misfit(f"{length} tokens need {length} labels, one beside each token; you return {len(labels)}")
    tokens = [(role, i) for role, ids in turns for i in ids]
    for t, (mine, right) in enumerate(zip(labels.tolist(), answer_labels(turns).tolist(), strict=True)):
        if mine != right:
            role, token = tokens[t]
            raise Misfit(f"token {t}, {token_name(token)!r} in a turn of {role}, has label {mine}, expected {right}")


wrong.add(
    "the opening is learnt too",
    "<|im_assistant|>, assistant and <|im_middle|> are written by the program that asks for an answer, never "
    "by the model: skip `opening` tokens.",
    _labelled(opening=0),
)
wrong.add(
    "<|im_end|> is not learnt",
    "Without a label on the closing <|im_end|> the model never learns to stop.",
    _labelled(unlearnt_end=1),
)
wrong.add(
    "every role is learnt",
    "Only the assistant's turns count; the user's words get -100.",
    _labelled(roles=("system", "user", "assistant")),
)

EXERCISE = Exercise(
    **words(__doc__), solution=answer_labels, cases=conversation_cases, properties=(one_label_each,), wrong=wrong
)
