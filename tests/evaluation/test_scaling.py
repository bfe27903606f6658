"""Test-time scaling on a scripted model: what it knows depends only on how far it was allowed to think."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

import minikimi.evaluation.ask
from minikimi.data.forms import prompt
from minikimi.evaluation.ask import ask
from minikimi.evaluation.minis import graded, held_out
from minikimi.evaluation.scaling import SCALED_TASKS, test_time_scaling, until_closed
from minikimi.evaluation.settings import settings
from minikimi.inference.request import Request
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import END_THINK, THINK
from minikimi.processor.text.special_tokens import MEDIA_PAD
from minikimi.sample import Sample

test_time_scaling.__test__ = False  # type: ignore[attr-defined]  # a function under test, not a test
PROCESSOR = Processor.small()
ENCODE, END = PROCESSOR.tokenizer.encode, PROCESSOR.tokenizer.special_id("<|im_end|>")
OPTIONS = replace(settings("nano"), scaling_limits=(0, 5, 20, 100), scaling_per_task=1, answer_tokens=12)


@pytest.fixture(autouse=True)
def scripted_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of the engine, one that asks the script."""

    class ScriptedEngine:
        def __init__(self, model: Scripted, *_: Any) -> None:
            self.model = model

        def run(self, requests: list[Request], progress: Any) -> None:
            for request in requests:
                said = self.model.answer(request.tokens)[: request.max_new_tokens]
                request.attach(PROCESSOR.tokenizer.special_id(MEDIA_PAD), [END], None)
                for token in said:
                    request.add(token, 0.0, [])

    monkeypatch.setattr(minikimi.evaluation.ask, "Engine", ScriptedEngine)


class Scripted:
    """Thinks its sample's solution, token by token, and answers right only if it has thought all of it."""

    def __init__(self, samples: list[Sample]) -> None:
        self.device, self.config = torch.device("cpu"), KimiVL.from_preset("nano", device="meta").config
        # Pictures are not looked at, so the samples' questions must differ.
        self.scripts = {tuple(prompt(PROCESSOR, s).input_ids.tolist()): s for s in samples}
        self.opening, self.closing = ENCODE(THINK), ENCODE(END_THINK)

    def eval(self) -> None: ...

    def answer(self, ids: list[int]) -> list[int]:
        start = next(i for i in range(len(ids), 0, -1) if tuple(ids[:i]) in self.scripts)
        sample, given = self.scripts[tuple(ids[:start])], ids[start:]
        assert given[: len(self.opening)] == self.opening
        thought = given[len(self.opening) :]
        solution = ENCODE(sample.solution)
        if not thought:
            return [*solution, *self.closing, *ENCODE(sample.answer), END]
        assert thought[-len(self.closing) :] == self.closing  # cut or not, the thinking is closed before the answer
        known = thought[: -len(self.closing)] == solution
        return [*ENCODE(sample.answer if known else "no idea"), END]


def test_accuracy_rises_with_the_limit_exactly_where_the_thinking_fits() -> None:
    samples = [s for task in SCALED_TASKS for s in held_out(task, OPTIONS.seed, 1)]
    lengths = {task: [len(ENCODE(s.solution)) for s in held_out(task, OPTIONS.seed, 1)] for task in SCALED_TASKS}
    model: Any = Scripted(samples)
    assert len(model.scripts) == len(samples)  # one question each, or the script could not tell them apart
    found = test_time_scaling(model, PROCESSOR, OPTIONS)
    assert found is not None
    assert found["limits"] == [0, 5, 20, 100] and found["n"] == len(SCALED_TASKS)
    for k, limit in enumerate(found["limits"]):
        for task in SCALED_TASKS:
            assert found["tasks"][task][k] == pytest.approx(sum(n <= limit for n in lengths[task]))
        every = [min(n, limit) for of_task in lengths.values() for n in of_task]
        assert found["used"][k] == pytest.approx(sum(every) / len(every))
    assert found["mean"][0] == 0 and found["mean"][-1] == 1
    assert found["interval"][-1] == [1, 1]


def test_thinking_is_cut_at_its_mark_and_at_the_limit() -> None:
    ids = ENCODE(f"2 + 3 = 5. 5{END_THINK}5")
    thought = ENCODE("2 + 3 = 5. 5")
    assert until_closed(PROCESSOR, ids, 100) == thought
    assert until_closed(PROCESSOR, ids, 4) == thought[:4]
    assert until_closed(PROCESSOR, ids, 0) == []
    unfinished = ENCODE("2 + 3")
    assert until_closed(PROCESSOR, unfinished, 100) == unfinished
    controls = [PROCESSOR.tokenizer.special_id(name) for name in ("<|media_pad|>", "<|im_user|>", "[BOS]")]
    mixed = [controls[0], *unfinished[:1], *controls, *unfinished[1:], controls[1]]
    assert until_closed(PROCESSOR, mixed, 100) == unfinished  # fed back, they would open a turn or a picture
    assert until_closed(PROCESSOR, mixed, 1) == unfinished[:1]  # and they take no room


def test_a_model_that_never_ends_its_thinking_does_not_think() -> None:
    class Endless(Scripted):
        def answer(self, ids: list[int]) -> list[int]:
            return ENCODE("and so on " * 60)

    model: Any = Endless([s for task in SCALED_TASKS for s in held_out(task, OPTIONS.seed, 1)])
    assert test_time_scaling(model, PROCESSOR, OPTIONS) is None


def test_asked_to_think_the_answer_is_what_follows() -> None:
    """In the form `think` the opening mark is written for the model and counts as part of its output."""
    sample = held_out("arithmetic", OPTIONS.seed, 1)[0]
    model: Any = Scripted([sample])
    (ids,) = ask(model, PROCESSOR, [sample], 200, "think")
    assert str(PROCESSOR.decode(ids)) == f"{THINK}{sample.solution}{END_THINK}{sample.answer}"
    (ids,) = ask(model, PROCESSOR, [sample], 10, "think")  # too little room: it never answers
    assert not graded(sample, str(PROCESSOR.decode(ids))).right
