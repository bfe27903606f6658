"""Conversations: the pieces are the text, thoughts apart; a stopped answer stays and frees its slot."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from minikimi.errors import UserError
from minikimi.inference.conversation import Conversation, Piece, parts_of, unseen, whole
from minikimi.inference.engine import Engine
from minikimi.inference.sampling import Sampling
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import END_THINK, THINK

PROCESSOR = Processor.small()


def conversation(capacity: int = 512) -> Conversation:
    torch.manual_seed(0)
    return Conversation(Engine(KimiVL.from_preset("nano"), slots=1, capacity=capacity), PROCESSOR)


def test_streamed_pieces_are_the_parts_of_the_whole() -> None:
    """However the text grows: half a mark or half a character is held back, and nothing comes twice."""
    text = f"{THINK}1 + 2 é{END_THINK}3◁x{THINK}more"
    data = text.encode()
    said: list[Piece] = []
    shown = 0
    for end in range(1, len(data) + 1):
        now = data[:end].decode(errors="replace")
        pieces = list(parts_of(text if end == len(data) else whole(now)))
        said += unseen(pieces, shown)
        shown = sum(len(words) for _, words in pieces)
    for kind, words in (("thought", "1 + 2 émore"), ("answer", "3◁x")):
        assert "".join(w for k, w in said if k == kind) == words


def test_a_second_question_is_read_alone() -> None:
    talk = conversation()
    picture = Image.new("RGB", (56, 56), "red")
    first = "".join(words for _, words in talk.ask("What colour is this?", [picture], 8, Sampling(1.0, seed=1)))
    assert talk.answer == first
    list(talk.ask("And this?", [], 8, Sampling()))
    assert [turn["role"] for turn in talk.turns] == ["user", "assistant"] * 2
    assert talk.engine.runner.images.encoded == 1 and talk.engine.idle


def test_a_stopped_answer_stays_and_frees_its_slot() -> None:
    talk = conversation()
    pieces = talk.ask("Tell me a story", [], 60, Sampling(1.0, seed=2))
    heard = next(pieces)[1] + next(pieces)[1]
    pieces.close()  # type: ignore[attr-defined]
    assert talk.engine.idle and talk.answer.startswith(heard)


def test_a_question_too_long_is_forgotten() -> None:
    talk = conversation(capacity=64)
    with pytest.raises(UserError, match="exceed the engine's 64"):
        next(talk.ask("why? " * 50, [], 8, Sampling()))
    assert talk.turns == []


def test_thinking_is_begun_for_the_model() -> None:
    talk = conversation()
    talk.think = True
    kinds = {kind for kind, _ in talk.ask("1 + 1?", [], 5, Sampling(1.0, seed=3))}
    assert kinds == {"thought"} and talk.answer.startswith(THINK)
