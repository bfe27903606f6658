"""How a sample becomes tokens: `encode` for training, `prompt` for asking, in one of seven forms (lessons 09 and 13).

A *form* is a way to write a sample down. Four are *running text*, as in pre-training: words and images one after
another without roles, every word learnt, [EOS] at the end.

* `text`: the words alone: the description, the question, the answer, as the language model's own pre-training sees
  them;
* `document`: the user's words with the images between them, then the answer, then the description;
* `told`: `document`, but where an image would stand there are its words (the sample's `told`): the text stage that
  comes before the first picture, so that the language model knows where to look when it gets eyes;
* `caption`: the images, then their full description, as in ViT training and alignment.

Three are *conversations* in the chat template, as in fine-tuning: only the assistant's words and `<|im_end|>` are
learnt.

* `chat`: question and answer;
* `think`: where a sample has worked steps (its `solution`), the assistant thinks them before it answers;
* `chat_some_think`: thinking in two of three samples that have worked steps, so that a model can do both.

A prompt is the beginning of what training shows, up to where the answer starts. Source: Kimi-VL report (arXiv
2504.07491), sections 2.3, 2.4 and 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

import torch

from minikimi.errors import UserError
from minikimi.processor.images.open_image import ImageSource
from minikimi.processor.processor import IGNORE_INDEX, Encoded, Processor
from minikimi.processor.text.chat import END_THINK, THINK, Rendered, content_parts
from minikimi.processor.text.special_tokens import BOS, EOS, MEDIA_PAD
from minikimi.sample import Sample

Encode = Callable[[Sample], Encoded]
Part = tuple[str, Any]  # ("text", words), ("image", nothing of interest), ("told", words in the place of an image)

RUNNING_TEXT = ("text", "told", "caption", "document")
CONVERSATIONS = ("chat", "think", "chat_some_think")
FORMS = (*RUNNING_TEXT, *CONVERSATIONS)
ASKED = ("document", "told", "chat", "think")  # forms in which a question can be put


def encode(processor: Processor, sample: Sample, form: str) -> Encoded:
    """A sample for training. Raises `UserError` for an unknown form."""
    check_form(form)
    if form in CONVERSATIONS:
        return processor.encode([*ask_turns(sample), *answer_turns(sample, form)], sample.images)
    return encode_parts(processor, [*ask_parts(sample, form), *answer_parts(sample, form)], sample.images)


def prompt(processor: Processor, sample: Sample, form: str = "chat", blind: bool = False) -> Encoded:
    """A sample up to where its answer begins, nothing learnt; `blind`: without its images.

    In a conversation the assistant's turn is open. Raises `UserError` for a form in which nothing can be asked.
    """
    check_form(form, ASKED)
    if blind:
        sample = hide_images(sample)
    if form in CONVERSATIONS:
        encoded = processor.encode(ask_turns(sample), sample.images, add_generation_prompt=True)
    else:
        encoded = Encoded.of(*write_parts(processor, ask_parts(sample, form), sample.images))
    return replace(encoded, labels=torch.full_like(encoded.labels, IGNORE_INDEX))


def check_form(form: str, known: Sequence[str] = FORMS) -> None:
    """Raise `UserError` unless the form is among `known`."""
    if form not in known:
        raise UserError(f"unknown form {form!r}; choose one of {', '.join(known)}")


def hide_images(sample: Sample) -> Sample:
    """The sample without its images, as a model is asked that must guess: the same words, no image part."""
    turns = []
    for turn in sample.messages:
        words = [{"type": "text", "text": value} for kind, value in content_parts(turn) if kind == "text"]
        turns.append(turn | {"content": words})
    return replace(sample, messages=turns, images=[], told=[])


def ask_turns(sample: Sample) -> list[dict[str, Any]]:
    """The conversation up to the answer."""
    return sample.messages[:-1]


def answer_turns(sample: Sample, form: str) -> list[dict[str, Any]]:
    """The assistant's answer, worked out where the form thinks, and the turns of further questions."""
    turns = [sample.messages[-1]]
    if sample.solution and (form == "think" or (form == "chat_some_think" and fixed_number(sample) % 3)):
        turns = [{"role": "assistant", "content": f"{THINK}{sample.solution}{END_THINK}{sample.answer}"}]
    for question, answer in sample.more:
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return turns


def ask_parts(sample: Sample, form: str) -> list[Part]:
    """What running text shows before the answer."""
    if form == "text":
        return []
    if form == "caption":
        return [("image", None)] * len(sample.images)
    parts = [part for turn in ask_turns(sample) for part in content_parts(turn)]
    if form == "document":
        return parts
    words = iter(sample.told)
    return [("told", f" {next(words)}") if kind == "image" else (kind, value) for kind, value in parts]


def answer_parts(sample: Sample, form: str) -> list[Part]:
    """What running text says of it: description, question, answer, each where the form has it."""
    description = sample.caption and f"{sample.caption}."
    if form == "text":
        words = " ".join(filter(None, (description, sample.question, write_answers(sample))))
    elif form == "caption":
        words = sample.caption
    else:
        words = f" {write_answers(sample)}" + (description and f"\n{description}")
    return [("text", words)]


def write_answers(sample: Sample) -> str:
    """The answer, then a line for each further question. A full stop ends each answer, as a base model should.

    In every second sample that has worked steps, these stand for the answer: they end with it.
    """
    first = sample.solution if sample.solution and fixed_number(sample) % 2 else sample.answer
    return "\n".join([f"{first}.", *(f"{question} {answer}." for question, answer in sample.more)])


def fixed_number(sample: Sample) -> int:
    """A number that follows from the sample's id, so that what is drawn by it is the same in every process."""
    return crc32(sample.id.encode())


def encode_parts(processor: Processor, parts: Sequence[Part], images: Sequence[ImageSource] = ()) -> Encoded:
    """Parts of running text for training: see `write_parts`, and [EOS], which is learnt."""
    row, pixel_values, grid_hws = write_parts(processor, parts, images)
    row.add([processor.tokenizer.special_id(EOS)], trainable=True)
    return Encoded.of(row, pixel_values, grid_hws)


def write_parts(
    processor: Processor, parts: Sequence[Part], images: Sequence[ImageSource] = ()
) -> tuple[Rendered, torch.Tensor, torch.Tensor]:
    """Parts of running text as a row, with the patches (P, 3, 14, 14) and grids (N, 2) of the images it shows.

    All words are learnt, no mark of an image is. [BOS] opens a row of words alone, and is not learnt.
    """
    tokenizer = processor.tokenizer
    kinds = {kind for kind, _ in parts}
    pixel_values, grid_hws = processor.image_processor(list(images) if "image" in kinds else [])
    counts, pad = iter(processor.image_processor.tokens(grid_hws)), tokenizer.special_id(MEDIA_PAD)
    row = Rendered()
    if kinds <= {"text"}:
        row.add([tokenizer.special_id(BOS)])
    for kind, value in parts:
        if kind == "text":
            row.add(tokenizer.encode(value), trainable=True)
        elif kind == "told":
            row.add_image(tokenizer.encode(value), tokenizer, trainable=True)
        else:
            row.add_image([pad] * next(counts), tokenizer)
    return row, pixel_values, grid_hws
