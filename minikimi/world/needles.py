"""Needles in a haystack, for `needle`, `needle_512`, `needle_2048` and the needle map; words only (lessons 09 and 12).

Among sentences of no matter stand two to four of one form, `The secret number of the dog is 52.`; the question asks
for one of them, so that the key must be matched and not just something odd be noticed (multi-key retrieval of RULER,
arXiv 2404.06654). `needle_scene` sets length and depth: with it the needle map of Table 2 of the Kimi-VL report (arXiv
2504.07491) is measured. Lengths are counted with the small tokenizer, in the chat form.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from minikimi.processor.processor import Processor
from minikimi.world.canvas import Rng, between, pick
from minikimi.world.holdout import COUNTS, count_held_out, pair_held_out, place_held_out
from minikimi.world.scene import Scene
from minikimi.world.vocabulary import GROUP_OF, NAMES, PLACES, amount

NEEDLE = "The secret number of the {} is {}."
QUESTIONS = ["What is the secret number of the {}?", "Which secret number does the {} have?"]
VALUES = range(10, 100)
DAYS = [
    "It is a fine day.",
    "The sun shines and the air is warm.",
    "We walk to the lake and back.",
    "The road is long and quiet.",
    "A bird sings in the old tree.",
    "It may rain in the evening.",
    "They have tea and bread at noon.",
    "The door is open and the light is on.",
]


@cache
def _processor() -> Processor:
    return Processor.small()


@cache
def _cost(sentence: str) -> int:
    """Tokens of `sentence` after a space, as it stands inside the text."""
    return len(_processor().tokenizer.encode(" " + sentence))


@cache
def _frame_cost() -> int:
    """Tokens of the chat form around the words, and of the answer's two digits."""
    chat = [{"role": "user", "content": ""}, {"role": "assistant", "content": "52"}]
    return len(_processor().encode(chat).input_ids)


@cache
def _fillers() -> list[str]:
    """Sentences about the picture world that hold in no scene in particular; none tells of a held-out combination."""
    places = [f"The {n} is at the {p}." for n in NAMES for p in PLACES if not place_held_out(n, p)]
    counts = [f"Someone has drawn {amount(n, c)}." for n in NAMES for c in COUNTS if not count_held_out(n, c)]
    groups = [f"The {n} belongs to the group {GROUP_OF[n]}." for n in NAMES]
    return [*places, *counts, *groups, *DAYS]


def _endless(rng: Rng, items: list[str]) -> Iterator[str]:
    """All items in a random order, again and again."""
    while True:
        for i in rng.permutation(len(items)):
            yield items[i]


def _draw_needles(rng: Rng, held_out: bool, count: int) -> dict[str, str]:
    """`count` keys with different values; the first pair, which is asked for, is of the split, the others trained."""
    needles: dict[str, str] = {}
    for key in (NAMES[i] for i in rng.permutation(len(NAMES))[:count]):
        values = [str(v) for v in VALUES if pair_held_out(key, str(v)) == (held_out and not needles)]
        needles[key] = pick(rng, [v for v in values if v not in needles.values()])
    return needles


def _fill(rng: Rng, room: int) -> list[str]:
    """Fillers of at most `room` tokens in all, as many as fit until one does not."""
    chosen: list[str] = []
    for sentence in _endless(rng, _fillers()):
        room -= _cost(sentence)
        if room < 0:
            return chosen
        chosen.append(sentence)
    return chosen


def _insert(lines: list[str], line: str, depth: float) -> float:
    """Put `line` among `lines` where the share of tokens before it comes nearest to `depth`; returns that share."""
    starts = [0]
    for each in lines:
        starts.append(starts[-1] + _cost(each))
    shares = [start / max(1, starts[-1]) for start in starts]
    at = min(range(len(shares)), key=lambda i: abs(shares[i] - depth))
    lines.insert(at, line)
    return shares[at]


def needle_scene(rng: Rng, held_out: bool, tokens: int, depth: float | None = None) -> Scene:
    """A text, a question and an answer of at most `tokens` tokens in the chat form of the small tokenizer.

    depth: where the asked needle stands, 0 at the start of the text and 1 at its end, to the nearest gap between two
    sentences; drawn if None. facts: key, value, needles (all pairs), depth (reached), question.

    Raises:
        ValueError: `tokens` leaves no room for the needles and the question, or `depth` is not within 0 and 1.
    """
    if depth is not None and not 0 <= depth <= 1:
        raise ValueError(f"depth {depth} is not within 0 and 1; 0 is the start of the text, 1 its end")
    needles = _draw_needles(rng, held_out, between(rng, 2, 4))
    key, value = next(iter(needles.items()))
    asked, *others = (NEEDLE.format(*pair) for pair in needles.items())
    question = pick(rng, QUESTIONS).format(key)
    room = tokens - _frame_cost() - sum(map(_cost, [asked, *others, question]))
    if room < 0:
        raise ValueError(f"{tokens} tokens are too few for {len(needles)} needles and a question; give {tokens - room}")
    lines = [*others, *_fill(rng, room)]
    lines = [lines[i] for i in rng.permutation(len(lines))]
    reached = _insert(lines, asked, rng.random() if depth is None else depth)
    facts = {"key": key, "value": value, "needles": needles, "depth": reached, "question": question}
    more = [] if held_out else [(pick(rng, QUESTIONS).format(k), v) for k, v in needles.items() if k != key]
    return Scene(question=" ".join([*lines, question]), answer=value, more=more, facts=facts)
