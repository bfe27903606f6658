"""A conversation with a model: turns and pictures in, thoughts and answers out as they are said (lesson 17).

Every turn sends the whole conversation; the engine reads only what is new of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from PIL import Image

from minikimi.inference.engine import Engine
from minikimi.inference.request import Request
from minikimi.inference.sampling import Sampling
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import END_THINK, THINK

Piece = tuple[str, str]  # "thought" or "answer", and some text of it


class Conversation:
    """Turns of a user and a model. `think`: each answer begins with an open thought, for models that can think."""

    def __init__(self, engine: Engine, processor: Processor, think: bool = False) -> None:
        self.engine, self.processor, self.think = engine, processor, think
        self.turns: list[dict[str, Any]] = []

    def ask(
        self, question: str, images: Sequence[Image.Image], max_new_tokens: int, sampling: Sampling
    ) -> Iterator[Piece]:
        """Ask about these new pictures, or those seen before; the answer, piece by piece.

        Whoever stops listening stops the answer: what was said so far stays in the conversation. Raises `UserError`,
        and forgets the question, if the conversation would grow longer than the model can read.
        """
        parts = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": question}]
        turns = [*self.turns, {"role": "user", "content": parts}]
        begun = THINK if self.think else ""
        prompt = self.processor.encode(turns, add_generation_prompt=True)
        prompt = prompt.followed_by(self.processor.tokenizer.encode(begun))
        request = self.engine.submit(Request(prompt, max_new_tokens, sampling))
        text = begun
        self.turns = turns
        try:
            shown = 0
            while not request.finish:
                self.engine.step()
                text = begun + str(self.processor.decode(request.ids))
                pieces = list(parts_of(text if request.finish else whole(text)))
                yield from unseen(pieces, shown)
                shown = sum(len(words) for _, words in pieces)
        finally:
            if not request.finish:
                self.engine.cancel(request)
            self.turns.append({"role": "assistant", "content": text.rstrip("\ufffd")})

    @property
    def answer(self) -> str:
        """What the model said last, thought included."""
        return self.turns[-1]["content"] if self.turns else ""


def whole(text: str) -> str:
    """Text without an end that the next token may still change: half a character, or the beginning of a mark."""
    text = text.rstrip("\ufffd")
    for mark in (THINK, END_THINK):
        for n in range(len(mark) - 1, 0, -1):
            if text.endswith(mark[:n]):
                return text[:-n]
    return text


def parts_of(text: str) -> Iterator[Piece]:
    """Thoughts and answers in turn, without their marks."""
    kind = "answer"
    while text:
        mark = THINK if kind == "answer" else END_THINK
        words, _, text = text.partition(mark)
        if words:
            yield kind, words
        kind = "thought" if kind == "answer" else "answer"


def unseen(pieces: Sequence[Piece], shown: int) -> Iterator[Piece]:
    """The pieces without their first `shown` characters."""
    for kind, words in pieces:
        if words[shown:]:
            yield kind, words[shown:]
        shown = max(0, shown - len(words))
