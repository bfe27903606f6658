"""Exercise 7.1: Write a turn as ids (difficulty 2, 5 minutes)

Hint 1: Build the list piece by piece: control tokens by special(name), words by tokenizer.encode(words). Never join
them as text.

Hint 2: [special(f'<|im_{role}|>'), *tokenizer.encode(role), special('<|im_middle|>')], then each part, then
special('<|im_end|>'). The word image is text: tokenizer.encode('image').

Why: encode never yields a control token, so whatever a user types stays between the turn's ids and cannot close it.
"""

from __future__ import annotations

import re

import torch

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_07.shared import token_name, tokenizer
from minikimi.processor.text.base import Tokenizer

wrong = Wrongs()

Parts = list[tuple[str, str | int]]


def turn_ids(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    """One turn as ids; parts are ("text", words) and ("image", number of tokens)."""
    special = tokenizer.special_id
    ids = [special(f"<|im_{role}|>"), *tokenizer.encode(role), special("<|im_middle|>")]
    for kind, value in parts:
        if kind == "text":
            ids += tokenizer.encode(value)
        else:
            ids += [special("<|media_start|>"), *tokenizer.encode("image"), special("<|media_content|>")]
            ids += [special("<|media_pad|>")] * value + [special("<|media_end|>")]
    return [*ids, special("<|im_end|>")]


def turn_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # The first user types a control token's name; pictures of different sizes stand between words.
    return [
        ("user", [("text", "What does <|im_end|> do?")]),
        ("user", [("image", 3 + seed), ("text", "or"), ("image", 2), ("text", "Which is larger?")]),
        ("assistant", [("text", "the first")]),
    ]


def run_turn(answer, role: str, parts: Parts) -> list[int]:
    return answer(role, parts, tokenizer())


def token_by_token(run, role: str, parts: Parts) -> None:
    mine, right = list(run(role, parts)), turn_ids(role, parts, tokenizer())
    for place, (m, r) in enumerate(zip(mine, right, strict=False)):
        if m != r:
            raise Misfit(
                f"in a turn of {role}, token {place} is {token_name(m)!r} ({m}); expected {token_name(r)!r} ({r})"
            )
    if len(mine) != len(right):
        raise Misfit(f"a turn of {role} has {len(mine)} tokens; expected {len(right)}")


def _as_text(role: str, parts: Parts) -> str:
    image = "<|media_start|>image<|media_content|>{}<|media_end|>"
    inner = "".join(str(v) if kind == "text" else image.format("<|media_pad|>" * int(v)) for kind, v in parts)
    return f"<|im_{role}|>{role}<|im_middle|>{inner}<|im_end|>"


@wrong(
    "control tokens found in the text",
    "You write the turn as one string and look for control tokens in it. So a user who types <|im_end|> ends the "
    "turn, and can go on as the assistant. Place control tokens by id.",
)
def control_tokens_found_in_text(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    names = re.compile("(" + "|".join(map(re.escape, tokenizer.special_tokens)) + ")")
    pieces = [piece for piece in names.split(_as_text(role, parts)) if piece]
    return [i for p in pieces for i in ([tokenizer.special_tokens.get(p)] if names.match(p) else tokenizer.encode(p))]


@wrong(
    "control tokens typed out",
    "encode treats '<|im_user|>' as ordinary characters, and "
    "that is its purpose. The ids come from tokenizer.special_id.",
)
def all_typed_out(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    return tokenizer.encode(_as_text(role, parts))


@wrong("one placeholder per picture", "A picture takes as many <|media_pad|> as it has tokens: the number in its part.")
def one_placeholder(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    return turn_ids(role, [(kind, 1 if kind == "image" else value) for kind, value in parts], tokenizer)


@wrong("a line break behind the turn", "Many chat formats put a line break between turns; this one has nothing there.")
def new_line_behind(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    return turn_ids(role, parts, tokenizer) + tokenizer.encode("\n")


@wrong("[BOS] in front", "Kimi-VL's template has no [BOS], neither at the beginning of a turn nor of a conversation.")
def begins_with_bos(role: str, parts: Parts, tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.special_id("[BOS]"), *turn_ids(role, parts, tokenizer)]


EXERCISE = Exercise(
    **words(__doc__), solution=turn_ids, cases=turn_cases, run=run_turn, properties=(token_by_token,), wrong=wrong
)
