"""Batches change nothing, and questions that do not fit are not dropped."""

from __future__ import annotations

import torch

from minikimi.data.forms import prompt
from minikimi.evaluation.ask import ask, generate
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.sample import Sample, question_and_answer
from minikimi.world import PictureWorld

PROCESSOR = Processor.small()


def sample_of(task: str) -> Sample:
    return PictureWorld(3, "held_out", {task: 1.0})[0]


def test_answers_come_in_order_and_do_not_depend_on_the_batch() -> None:
    """Prompts of very different length, with none, one and several pictures, one by one and together."""
    torch.manual_seed(1)
    model = KimiVL.from_preset("nano")
    samples = [sample_of(task) for task in ("order", "arithmetic", "caption", "needle", "number")]
    prompts = [prompt(PROCESSOR, sample) for sample in samples]
    alone = [generate(model, PROCESSOR, [one], 6)[0] for one in prompts]
    assert generate(model, PROCESSOR, prompts, 6, slots=3) == alone
    assert len({tuple(ids) for ids in alone}) > 1  # else the order would not be seen


def test_a_question_beyond_the_context_gets_an_empty_answer() -> None:
    model = KimiVL.from_preset("nano")
    long = Sample("long", "needle", question_and_answer("dog " * model.config.text_config.max_position_embeddings,
                                                        "dog", 0), [], "dog")  # fmt: skip
    done: list[int] = []
    outputs = ask(model, PROCESSOR, [long, sample_of("needle")], 4, progress=done.append)
    assert outputs[0] == [] and outputs[1] and sum(done) == 1
