"""Prompts are what training showed, batches change nothing, and questions that do not fit are not dropped."""

from __future__ import annotations

import pytest
import torch

from minikimi.data.forms import encoder
from minikimi.errors import UserError
from minikimi.evaluation.ask import ask, batches, generate, make_prompt
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.sample import Sample, question_and_answer
from minikimi.world import TASKS, PictureWorld

PROCESSOR = Processor.small()


def sample_of(task: str) -> Sample:
    return PictureWorld(3, "held_out", {task: 1.0})[0]


@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_is_the_beginning_of_what_training_shows(task: str) -> None:
    sample = sample_of(task)
    for form in ("chat", "document", "told"):
        prompt, whole = make_prompt(PROCESSOR, sample, form), encoder(form, PROCESSOR)(sample)
        ids = whole.input_ids.tolist()
        assert ids[: len(prompt.ids)] == prompt.ids and len(ids) > len(prompt.ids)
        assert torch.equal(prompt.pixel_values, whole.pixel_values) and torch.equal(prompt.grid_hws, whole.grid_hws)
        rest = str(PROCESSOR.decode(ids[len(prompt.ids) :])).strip()
        assert rest.startswith(sample.answer) or (sample.solution and rest.startswith(sample.solution))


@pytest.mark.parametrize("form", ["chat", "document"])
def test_blind_prompts_hold_the_same_words_and_no_picture(form: str) -> None:
    sample = sample_of("order")  # words between its pictures
    prompt = make_prompt(PROCESSOR, sample, form, blind=True)
    assert PROCESSOR.tokenizer.special_id("<|media_pad|>") not in prompt.ids and len(prompt.grid_hws) == 0
    assert (
        str(PROCESSOR.decode(prompt.ids))
        .replace(" ", "")
        .endswith(sample.question.split(". ")[-1].replace(" ", "") if form == "document" else "assistant")
    )
    with pytest.raises(UserError, match="unknown form 'poem'"):
        make_prompt(PROCESSOR, sample, "poem")


def test_batches_hold_everything_once_and_keep_to_their_limits() -> None:
    lengths = [7, 100, 3, 50, 50, 8, 9, 100]
    found = list(batches(lengths, size=3, tokens=120))
    assert sorted(i for batch in found for i in batch) == list(range(8))
    assert all(len(b) <= 3 and (len(b) == 1 or len(b) * max(lengths[i] for i in b) <= 120) for b in found)


def test_answers_come_in_order_and_do_not_depend_on_the_batch() -> None:
    """Prompts of very different length, with none, one and several pictures, one by one and together."""
    torch.manual_seed(1)
    model = KimiVL.from_preset("nano")
    samples = [sample_of(task) for task in ("order", "arithmetic", "caption", "needle", "number")]
    prompts = [make_prompt(PROCESSOR, sample) for sample in samples]
    alone = [generate(model, PROCESSOR, [prompt], 6)[0] for prompt in prompts]
    assert generate(model, PROCESSOR, prompts, 6, size=3) == alone
    assert len({tuple(ids) for ids in alone}) > 1  # else the order would not be seen


def test_a_question_beyond_the_context_gets_an_empty_answer() -> None:
    model = KimiVL.from_preset("nano")
    long = Sample("long", "needle", question_and_answer("dog " * model.config.text_config.max_position_embeddings,
                                                        "dog", 0), [], "dog")  # fmt: skip
    done: list[int] = []
    outputs = ask(model, PROCESSOR, [long, sample_of("needle")], 4, progress=done.append)
    assert outputs[0] == [] and outputs[1] and sum(done) == 1
