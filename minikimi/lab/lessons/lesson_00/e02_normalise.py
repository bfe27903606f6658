"""Exercise 0.2: Bring an answer to its plain form (difficulty 1, 2 minutes)

Hint 1: str.split() without an argument cuts at any run of blanks; join the words with one blank each.

Hint 2: " ".join(text.split()), and then removesuffix(".") takes one closing full stop.

Why: Forgive what carries no meaning, blanks and a closing full stop, and nothing else: every further kindness raises
the score without the model being better.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from minikimi.answers import normalise
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def text_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Blanks around and inside, a closing full stop, full stops that belong to numbers, capitals that mean something.
    return [(f"  page  {seed + 3}. ",), ("MQK",), (f"click(0.2{seed}, 0.75).",), ("cat at top left,\n dog at right",)]


def text_by_text(run: Callable, text: str) -> None:
    if (result := run(text)) != normalise(text):
        raise Misfit(f"{text!r} becomes {result!r}, expected {normalise(text)!r}")


@wrong("capitals lost", "MQK printed on a sign is not mqk: reading capitals is what is examined, so leave case alone.")
def lower_case(text: str) -> str:
    return normalise(text).lower()


@wrong("all full stops removed", "0.75 became 075. Only the full stop at the very end may go: removesuffix.")
def all_full_stops(text: str) -> str:
    return " ".join(text.split()).replace(".", "")


@wrong(
    "blanks inside left",
    "strip() trims the ends only; two blanks or a line break between words stay. Split and join.",
)
def ends_only(text: str) -> str:
    return text.strip().removesuffix(".")


@wrong("no blanks at all", 'Words run together: join them with a blank, " ".join(...).')
def no_blanks(text: str) -> str:
    return "".join(text.split()).removesuffix(".")


@wrong("closing full stop kept", '"page 3." should count as "page 3": take one closing full stop away.')
def full_stop_kept(text: str) -> str:
    return " ".join(text.split())


EXERCISE = Exercise(**words(__doc__), solution=normalise, cases=text_cases, properties=(text_by_text,), wrong=wrong)
