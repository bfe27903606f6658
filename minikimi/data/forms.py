"""How a sample becomes tokens: one form for each kind of training (lessons 09 and 13).

* `text`: its words alone: the description, the question, the answer, as the language model's own pre-training sees
  them;
* `told`: as `document`, but where a picture would stand there are its words: the text stage that comes before the
  first picture, so that the language model knows where to look when it gets eyes;
* `caption`: the pictures, then their full description, as in ViT training and alignment;
* `document`: the pictures with the words between them, question and answer, then the description, as running text:
  every word is learnt, as in pre-training;
* `chat`: the chat template, where only the assistant's words and `<|im_end|>` are learnt, as in fine-tuning;
* `think`: `chat`, but where a sample has worked steps the assistant thinks before it answers;
* `chat_some_think`: thinking in two of three samples that have worked steps, so that a model can do both.

Source: Kimi-VL report (arXiv 2504.07491), sections 2.3, 2.4 and 3.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

import torch

from minikimi.errors import UserError
from minikimi.processor.processor import IGNORE_INDEX, Encoded, Processor
from minikimi.processor.text.chat import END_THINK, THINK, content_parts
from minikimi.sample import Sample

Encode = Callable[[Sample], Encoded]
Parts = Iterable[tuple[str, Any]]


def encoder(form: str, processor: Processor) -> Encode:
    """The function that encodes samples in the given form. Raises `UserError` for an unknown form."""
    forms: dict[str, Encode] = {
        "text": lambda sample: running_text(processor, sample, [("text", plain_text(sample))]),
        "told": lambda sample: running_text(processor, sample, told(sample)),
        "caption": lambda sample: running_text(processor, sample, [*images(sample), ("text", sample.caption)]),
        "document": lambda sample: running_text(processor, sample, document(sample)),
        "chat": lambda sample: processor.encode([*sample.messages, *further(sample)], sample.images),
        "think": lambda sample: processor.encode([*thinking(sample), *further(sample)], sample.images),
        "chat_some_think": lambda sample: processor.encode(
            [*(thinking(sample) if number(sample) % 3 else sample.messages), *further(sample)], sample.images
        ),
    }
    if form not in forms:
        raise UserError(f"unknown form {form!r}; choose one of {', '.join(forms)}")
    return forms[form]


def number(sample: Sample) -> int:
    """A number that follows from the sample's id, so that what is drawn by it is the same in every process."""
    return crc32(sample.id.encode())


def worked(sample: Sample) -> str:
    """The answer; in every second sample that has worked steps, these instead: they end with the answer."""
    return sample.solution if sample.solution and number(sample) % 2 else sample.answer


def answered(sample: Sample) -> str:
    """The answer, then a line for each further question. A full stop ends each answer, as a base model should."""
    return "\n".join([f"{worked(sample)}.", *(f"{question} {answer}." for question, answer in sample.more)])


def plain_text(sample: Sample) -> str:
    """Description, questions and answers: the picture told in words."""
    return " ".join(filter(None, (sample.caption and f"{sample.caption}.", sample.question, answered(sample))))


def further(sample: Sample) -> list[dict[str, Any]]:
    """The turns of further questions about the same images: cheap, since the images are there already."""
    turns = [(("user", question), ("assistant", answer)) for question, answer in sample.more]
    return [{"role": role, "content": words} for pair in turns for role, words in pair]


def images(sample: Sample) -> list[tuple[str, Any]]:
    return [("image", None)] * len(sample.images)


def document(sample: Sample) -> Parts:
    """The user's turn as it stands, then the answer, then the description."""
    *_, turn = (message for message in sample.messages if message["role"] == "user")
    yield from content_parts(turn)
    yield "text", f" {answered(sample)}" + (f"\n{sample.caption}." if sample.caption else "")


def told(sample: Sample) -> Parts:
    """`document` with the words of each image in its place."""
    words = iter(sample.told)
    for kind, value in document(sample):
        yield ("told", f" {next(words)}") if kind == "image" else (kind, value)


def thinking(sample: Sample) -> list[dict[str, Any]]:
    """The conversation with worked steps, if there are any, before its answer."""
    if not sample.solution:
        return sample.messages
    answer = f"{THINK}{sample.solution}{END_THINK}{sample.answer}"
    return [*sample.messages[:-1], {"role": "assistant", "content": answer}]


def running_text(processor: Processor, sample: Sample, parts: Parts) -> Encoded:
    """Images and text in the order of `parts`, and [EOS]; every token of the text is learnt, none of the images."""
    tokenizer, id_of = processor.tokenizer, processor.tokenizer.special_id
    parts = list(parts)
    kinds = {kind for kind, _ in parts}
    pixel_values, grid_hws = processor.image_processor(sample.images if "image" in kinds else [])
    counts = iter(processor.image_processor.tokens(grid_hws))
    ids: list[int] = [] if kinds & {"image", "told"} else [id_of("[BOS]")]
    labels = [IGNORE_INDEX] * len(ids)
    before = [id_of("<|media_start|>"), *tokenizer.encode("image"), id_of("<|media_content|>")]
    after = [id_of("<|media_end|>")]
    for kind, value in parts:
        words = [] if kind == "image" else tokenizer.encode(value)
        if kind == "text":
            new, learnt = words, words
        else:
            shown = words or [id_of("<|media_pad|>")] * next(counts)
            new = before + shown + after
            learnt = [IGNORE_INDEX] * len(before) + (words or [IGNORE_INDEX] * len(shown)) + [IGNORE_INDEX]
        ids += new
        labels += learnt
    end = id_of("[EOS]")
    return Encoded(torch.tensor([*ids, end]), torch.tensor([*labels, end]), pixel_values, grid_hws)
