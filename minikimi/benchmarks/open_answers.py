"""MMMU's open questions: candidates from the tails of sentences, compared by number or by containment (lesson 15).

A candidate is what follows the last telling word ("so", "is", "answer", ...) of a sentence, and every number in it. A
reference counts as found if it is *contained* in a candidate, so long answers are lucky. The program followed:
`parse_open_response` and `eval_open` of MMMU bb0b95a (2025-05-19), arXiv 2311.16502. Candidates stay a list: a
published harness joined them into one string and went through it letter by letter.

`strict` is that rule *and* the law of answers: what the output states as its answer equals a reference.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from minikimi.answers import plain, stated
from minikimi.benchmarks.item import Score

TELLING = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
TRIVIAL = tuple(":,.!?;'")
NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),  # 12,345
    re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+"),  # 1.5e-3
    re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])"),  # 12 and 12.5
)
Value = float | str


def as_number(text: str) -> float | None:
    """The number that a text is, to two places, commas ignored; None if it is none. Long texts are not numbers."""
    try:
        return round(float(text.replace(",", "")), 2) if len(text) <= 64 else None
    except ValueError:
        return None


def normalised(text: str) -> list[Value]:
    """A number, or the text in lower case; a single letter is padded, so that it is not found within words."""
    text = text.strip()
    number = as_number(text)
    if number is not None:
        return [number]
    text = text.lower()
    return [f" {text}", f"{text} "] if len(text) == 1 else [text]


def tails(output: str) -> list[str]:
    """For each sentence and line the shortest text behind a telling word, in the last one also behind `=`; the whole
    output if there is none.
    """
    # The official program lowers the text first, so that its split at ". " before a capital never happens: lines only.
    output = output.strip().strip(".").lower()
    sentences = output.split("\n")
    found = []
    for i, sentence in enumerate(sentences):
        shortest = ""
        for word in (*TELLING, "=") if i == len(sentences) - 1 else TELLING:
            tail = sentence.split(word)[-1].strip()
            if word in sentence and (not shortest or len(tail) < len(shortest)):
                shortest = tail
        if shortest and shortest not in TRIVIAL:
            found.append(shortest)
    return found or [output]


def candidates(output: str) -> list[Value]:
    """All that may be the answer: the tails, and the numbers in them, normalised."""
    texts = tails(output)
    numbers = [number for text in texts for pattern in NUMBERS for number in pattern.findall(text)]
    return [value for text in [*texts, *numbers] for value in normalised(text)]


def score_open(output: str, references: Sequence[str]) -> Score:
    """Official: a reference is contained in a candidate, or equal as a number. Strict: and equal to what is stated."""
    wanted = [value for reference in references for value in normalised(reference)]
    words = [value for value in wanted if isinstance(value, str)]
    found = candidates(output)
    official = any(any(w in c for w in words) if isinstance(c, str) else c in wanted for c in found)
    parsed = tails(output)[-1]
    said = [tail for tail in (stated(output), parsed) if tail is not None]
    strict = official and any(value in wanted for tail in said for value in normalised(plain(tail)))
    branch = "none" if not parsed else "whole output" if parsed == output.strip().strip(".").lower() else "tail"
    return Score(float(official), float(strict), parsed or None, branch)
