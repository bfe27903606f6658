"""The engine: what a request gets depends on nothing but itself, and the books stay right whatever happens."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from tiny_models import EOS, MEDIA, random_images, random_text, text_with_images, tiny_model

from minikimi.errors import UserError
from minikimi.inference.engine import Engine
from minikimi.inference.request import CANCELLED, LENGTH, STOP, Request
from minikimi.inference.runner import Piece
from minikimi.inference.sampling import Sampling
from minikimi.processor.processor import Encoded

GRIDS = [(2, 4), (4, 2)]


def encoded(ids: torch.Tensor, images: tuple[torch.Tensor, torch.Tensor] | None = None) -> Encoded:
    return Encoded(ids, torch.full_like(ids, -100), *(images or random_images([])))


def seeing(words: int, seed: int) -> Encoded:
    """Words and two pictures."""
    return encoded(text_with_images(words, GRIDS, seed), random_images(GRIDS, seed))


def requests() -> list[Request]:
    """Greedy, sampled and cut ones; three with one prompt, two with one beginning, with and without pictures."""
    shared = random_text(40, 5)
    prompts = [seeing(9, 1), encoded(random_text(1, 2)), *[encoded(shared)] * 3]
    prompts += [encoded(torch.cat([shared[:25], random_text(9, 6)])), seeing(30, 1), encoded(random_text(3, 7))]
    ways = [(0.0, 1.0), (1.0, 1.0), (0.7, 0.8)]
    return [
        Request(p, 3 + 5 * (i % 3), Sampling(*ways[i % 3], seed=(4, i)), candidates_wanted=3, record_experts=True)
        for i, p in enumerate(prompts)
    ]


def same(a: Request, b: Request) -> None:
    """Equal tokens and experts, and log-probabilities to 1e-5."""
    assert (a.ids, a.finish) == (b.ids, b.finish)
    torch.testing.assert_close(torch.tensor(a.log_probs), torch.tensor(b.log_probs), atol=1e-5, rtol=0)
    assert a.experts is not None and b.experts is not None
    assert torch.equal(a.experts[:, :-1].sort().values, b.experts[:, :-1].sort().values)
    for mine, other in zip(a.candidates, b.candidates, strict=True):
        assert [i for i, p in mine if p > -20] == [i for i, p in other if p > -20]


def alone(model: Any) -> list[Request]:
    asked = requests()
    for request in asked:
        Engine(model, slots=1, capacity=128, record_experts=True).run([request])
    return asked


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize(("slots", "chunk", "order"), [(8, 2048, 1), (3, 7, 1), (2, 1, -1), (5, 30, -1)])
def test_company_chunk_order_and_loop_change_nothing(slots: int, chunk: int, order: int, overlap: bool) -> None:
    model = tiny_model(0)
    together = requests()
    engine = Engine(model, slots, 128, chunk, overlap=overlap, record_experts=True)
    engine.run(together[::order])
    for one, another in zip(alone(model), together, strict=True):
        same(one, another)
    engine.self_check()


def test_log_probs_and_candidates_are_those_of_the_full_pass() -> None:
    model = tiny_model(1)
    request = Request(seeing(9, 1), 6, Sampling(1.0, seed=3), stop_ids=(), candidates_wanted=4)
    Engine(model, capacity=64, chunk=5).run([request])
    prompt = request.prompt
    ids = torch.cat([prompt.input_ids, torch.tensor(request.ids)])
    with torch.no_grad():
        logits = model(ids[None], prompt.pixel_values, prompt.grid_hws).logits[0, len(prompt.input_ids) - 1 : -1]
    logits[:, MEDIA] = -torch.inf
    log_probs = logits.log_softmax(dim=-1)
    said = log_probs.gather(1, torch.tensor(request.ids)[:, None])[:, 0]
    torch.testing.assert_close(torch.tensor(request.log_probs), said, atol=1e-5, rtol=0)
    assert [[i for i, _ in c] for c in request.candidates] == log_probs.topk(4).indices.tolist()


def test_a_second_turn_reads_only_what_is_new() -> None:
    """And says what a fresh engine says, also when another conversation came between, and looks at no picture again."""
    model = tiny_model(2)
    first, other = Request(seeing(30, 1), 6, stop_ids=()), Request(encoded(random_text(33, 9)), 6, stop_ids=())
    engine = Engine(model, slots=3, capacity=128)
    engine.run([first])
    engine.run([other])
    whole = [*first.tokens, *first.ids, *random_text(8, 3).tolist()]
    turn = encoded(torch.tensor(whole), (first.prompt.pixel_values, first.prompt.grid_hws))
    again, fresh = Request(turn, 6, stop_ids=()), Request(turn, 6, stop_ids=())
    engine.run([again])
    Engine(model, capacity=128).run([fresh])
    assert again.ids == fresh.ids and fresh.reused == 0
    assert again.reused == len(first.tokens) + len(first.ids) - 1  # the last token said was never read
    assert engine.runner.images.encoded == 2


def test_another_picture_is_not_the_same_beginning() -> None:
    model = tiny_model(2)
    engine = Engine(model, slots=2, capacity=128)
    one = Request(seeing(30, 1), 4, stop_ids=())
    changed = one.prompt.pixel_values.clone()
    changed[-1] += 1.0
    two = Request(encoded(one.prompt.input_ids, (changed, one.prompt.grid_hws)), 4, stop_ids=())
    engine.run([one, two])
    assert two.reused <= int((one.prompt.input_ids == MEDIA).nonzero()[2])  # up to the second picture
    fresh = Request(two.prompt, 4, stop_ids=())
    Engine(model, capacity=128).run([fresh])
    torch.testing.assert_close(torch.tensor(two.log_probs), torch.tensor(fresh.log_probs), atol=1e-5, rtol=0)


def test_answers_to_one_prompt_read_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(tiny_model(3), slots=8, capacity=64)
    read: list[int] = []
    prefill = engine.runner.prefill

    def noted(pieces: list[Piece]) -> None:
        read.extend(len(piece.ids) for piece in pieces)
        prefill(pieces)

    monkeypatch.setattr(engine.runner, "prefill", noted)
    engine.run([Request(encoded(random_text(12)), 5, Sampling(1.0, seed=i)) for i in range(8)])
    assert read == [11]


@pytest.mark.slow
@pytest.mark.parametrize("overlap", [False, True])
def test_random_schedules(overlap: bool) -> None:
    """Requests come, are cancelled and end in any order; books are checked at every step, tokens at the end."""
    model, dice = tiny_model(4), random.Random(0)
    expected = [r.ids for r in alone(model)]
    for _ in range(100):
        slots, chunk = dice.randint(1, 6), dice.choice([1, 5, 16, 2048])
        engine = Engine(model, slots, 128, chunk, overlap=overlap, record_experts=True)
        asked = requests()
        left = dice.sample(asked, len(asked))
        cancelled: set[int] = set()
        while left or not engine.idle:
            if left and dice.random() < 0.5:
                engine.submit(left.pop())
            if dice.random() < 0.1:
                victim = dice.randrange(len(asked))
                if asked[victim] not in left and not asked[victim].finish:
                    engine.cancel(asked[victim])
                    cancelled.add(victim)
            engine.step()
            engine.self_check()
        for i, (request, ids) in enumerate(zip(asked, expected, strict=True)):
            assert request.finish == CANCELLED if i in cancelled else request.ids == ids
            assert request.ids == ids[: len(request.ids)]
        assert engine.facts()["running"] == engine.facts()["waiting"] == 0


@pytest.mark.parametrize("overlap", [False, True])
def test_a_cancelled_request_frees_its_slot(overlap: bool) -> None:
    engine = Engine(tiny_model(5), slots=1, capacity=64, overlap=overlap)
    long, waits = Request(encoded(random_text(20)), 40, stop_ids=()), Request(encoded(random_text(20, 1)), 2)
    never = Request(encoded(random_text(20, 2)), 2)
    for request in (long, never, waits):
        engine.submit(request)
    engine.step()
    engine.cancel(never)
    engine.cancel(long)
    engine.cancel(long)  # twice is once
    while not engine.idle:
        assert all(request is waits for request, _ in engine.step())
    assert (long.finish, never.finish, never.ids) == (CANCELLED, CANCELLED, []) and len(waits.ids) == 2


def test_ends() -> None:
    """By a stop id, which is kept; by a text across tokens; at the limit."""
    model = tiny_model(6)
    free = Request(encoded(random_text(9)), 12, stop_ids=())
    letters: Any = lambda ids: "".join(chr(33 + i) for i in ids)  # noqa: E731
    engine = Engine(model, capacity=64, decode=letters)
    engine.run([free])
    by_id = Request(free.prompt, 12, stop_ids=[free.ids[4]])
    by_text = Request(free.prompt, 12, stop_ids=(), stop_texts=("never", letters(free.ids[2:4])))
    engine.run([by_id, by_text])
    first = free.ids.index(free.ids[4]) + 1
    text = letters(free.ids).index(letters(free.ids[2:4])) + 2
    assert (free.finish, len(free.ids)) == (LENGTH, 12)
    assert (by_id.finish, by_id.ids) == (STOP, free.ids[:first])
    assert (by_text.finish, by_text.ids) == (STOP, free.ids[:text])
    assert engine.submit(Request(free.prompt, 4)).ends_with == (EOS, EOS + 1)


@pytest.mark.parametrize(
    ("prompt", "new", "words"),
    [
        (0, 4, "a prompt is empty"),
        (4, 0, "max_new_tokens 0: need at least 1"),
        (60, 5, "60 prompt tokens + 5 new ones exceed the engine's 64"),
    ],
)
def test_what_cannot_be_answered_is_refused(prompt: int, new: int, words: str) -> None:
    engine = Engine(tiny_model(7), capacity=64)
    with pytest.raises(UserError, match=words.replace("+", r"\+")):
        engine.submit(Request(encoded(random_text(prompt)), new))
    assert engine.idle
    full = Request(encoded(random_text(60)), 4, stop_ids=())
    engine.run([full])
    assert len(full.ids) == 4


def test_wrong_books_are_noticed() -> None:
    engine = Engine(tiny_model(8), slots=2, capacity=64)
    engine.run([Request(encoded(random_text(9)), 2)])
    engine.scheduler.slots[0].length += 1
    with pytest.raises(RuntimeError, match="lengths differ from the device's"):
        engine.self_check()
