"""Putting many questions to a model: prompts as lists of ids, batches of similar length, greedy answers (lesson 15).

Four forms. `chat` is the template that fine-tuning teaches. A base model has never seen it, so it gets the `document`
form of its pre-training: the pictures, the question as running text, and whatever it writes up to [EOS]. `told` is
`document` with words where the pictures would stand, for a language model that has no eyes yet. `think` is `chat` with
◁think▷ already written where a task has worked steps: a model that can do both is asked to think.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from minikimi.errors import UserError
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import THINK, content_parts
from minikimi.processor.text.special_tokens import (
    BOS,
    EOS,
    IM_END,
    MEDIA_CONTENT,
    MEDIA_END,
    MEDIA_PAD,
    MEDIA_START,
    PAD,
)
from minikimi.sample import Sample

RUNNING_TEXT = ("document", "told")  # forms whose answer is the next sentence
FORMS = ("chat", *RUNNING_TEXT, "think")


@dataclass(frozen=True)
class Prompt:
    """Ids up to where the answer begins, and the pictures' patches (P, 3, 14, 14) and grids (N, 2)."""

    ids: list[int]
    pixel_values: Tensor
    grid_hws: Tensor

    def followed_by(self, ids: Sequence[int]) -> Prompt:
        """The same prompt with some of the answer already given."""
        return replace(self, ids=[*self.ids, *ids])


def question_turns(sample: Sample, blind: bool = False) -> list[dict[str, Any]]:
    """The conversation up to the answer, without its image parts if `blind`."""
    turns = sample.messages[:-1]
    if not blind:
        return turns
    return [turn | {"content": [part for part in parts(turn) if part["type"] != "image"]} for turn in turns]


def parts(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """The content of a message as a list of parts."""
    return [{"type": kind, kind: value} for kind, value in content_parts(turn)]


def make_prompt(processor: Processor, sample: Sample, form: str = "chat", blind: bool = False) -> Prompt:
    """The prompt of one question. Raises `UserError` for an unknown form."""
    if form not in FORMS:
        raise UserError(f"unknown form {form!r}; choose one of {', '.join(FORMS)}")
    turns, images = question_turns(sample, blind), [] if blind else sample.images
    if form == "told":
        return document_prompt(processor, turns, [], sample.told)
    return (document_prompt if form == "document" else chat_prompt)(processor, turns, images)


def chat_prompt(processor: Processor, turns: list[dict[str, Any]], images: Sequence[Any]) -> Prompt:
    """Turns in the chat template, with the assistant's turn opened."""
    inputs = processor(turns, images, add_generation_prompt=True)
    no_pixels, no_grids = processor.image_processor([])
    ids = inputs["input_ids"][0].tolist()
    return Prompt(ids, inputs.get("pixel_values", no_pixels), inputs.get("image_grid_hws", no_grids))


def document_prompt(
    processor: Processor, turns: list[dict[str, Any]], images: Sequence[Any], told: Sequence[str] = ()
) -> Prompt:
    """The parts of the turns one after another, without roles; [BOS] first where there is no picture. `told`: words to
    stand in the place of the images.
    """
    tokenizer, id_of = processor.tokenizer, processor.tokenizer.special_id
    pixel_values, grid_hws = processor.image_processor(list(images))
    places = [[id_of(MEDIA_PAD)] * count for count in processor.image_processor.tokens(grid_hws)]
    shown = iter([tokenizer.encode(f" {words}") for words in told] or places)
    content = [part for turn in turns for part in content_parts(turn)]
    ids = [] if any(kind == "image" for kind, _ in content) else [id_of(BOS)]
    for kind, text in content:
        if kind == "text":
            ids += tokenizer.encode(text)
            continue
        ids += [id_of(MEDIA_START), *tokenizer.encode("image"), id_of(MEDIA_CONTENT), *next(shown), id_of(MEDIA_END)]
    return Prompt(ids, pixel_values, grid_hws)


def batches(lengths: Sequence[int], size: int, tokens: int) -> Iterator[list[int]]:
    """Indices of prompts of similar length, at most `size` of them and about `tokens` prompt tokens together."""
    chosen: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if chosen and (len(chosen) == size or (len(chosen) + 1) * lengths[i] > tokens):
            yield chosen
            chosen = []
        chosen.append(i)
    if chosen:
        yield chosen


def fits(model: KimiVL, prompt: Prompt, max_new_tokens: int) -> bool:
    """Whether a prompt and its answer fit together into the model's context."""
    return len(prompt.ids) + max_new_tokens <= model.config.text_config.max_position_embeddings


def generate(
    model: KimiVL,
    processor: Processor,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
    progress: Callable[[int], None] = lambda done: None,
    size: int = 64,
    tokens: int = 16384,
) -> list[list[int]]:
    """Greedy continuations of all prompts, in order, each without its stop token and padding.

    A prompt that does not fit (see `fits`) cannot be asked; it gets an empty answer, which no rule accepts.
    """
    model.eval()
    fitting = [i for i, prompt in enumerate(prompts) if fits(model, prompt, max_new_tokens)]
    stops = {processor.tokenizer.special_id(name) for name in (EOS, IM_END)}
    out: list[list[int]] = [[] for _ in prompts]
    for chosen in batches([len(prompts[i].ids) for i in fitting], size, tokens):
        chosen = [fitting[k] for k in chosen]
        inputs = collate([prompts[i] for i in chosen], processor, model.device)
        for i, row in zip(chosen, model.generate(**inputs, max_new_tokens=max_new_tokens).tolist(), strict=True):
            out[i] = row[: next((k for k, token in enumerate(row) if token in stops), len(row))]
        progress(len(chosen))
    return out


def collate(prompts: Sequence[Prompt], processor: Processor, device: torch.device | str) -> dict[str, Tensor]:
    """The inputs of `KimiVL.generate`, padded on the left, so that every prompt ends in the last column."""
    width, pad = max(len(prompt.ids) for prompt in prompts), processor.tokenizer.special_id(PAD)
    rows = [[pad] * (width - len(prompt.ids)) + prompt.ids for prompt in prompts]
    mask = [[0] * (width - len(prompt.ids)) + [1] * len(prompt.ids) for prompt in prompts]
    batch = {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask)}
    if any(len(prompt.grid_hws) for prompt in prompts):
        batch["pixel_values"] = torch.cat([prompt.pixel_values for prompt in prompts])
        batch["image_grid_hws"] = torch.cat([prompt.grid_hws for prompt in prompts])
    return {name: tensor.to(device) for name, tensor in batch.items()}


def ask(
    model: KimiVL,
    processor: Processor,
    samples: Sequence[Sample],
    max_new_tokens: int,
    form: str = "chat",
    blind: bool = False,
    progress: Callable[[int], None] = lambda done: None,
) -> list[list[int]]:
    """Greedy answers to all questions, as ids, in order; `progress` is told how many were just answered.

    In the form `think`, an answer begins with the ◁think▷ that was written for the model.
    """
    begun = [processor.tokenizer.encode(THINK) if form == "think" and s.solution else [] for s in samples]
    prompts = [
        make_prompt(processor, sample, form, blind).followed_by(begin)
        for sample, begin in zip(samples, begun, strict=True)
    ]
    new = generate(model, processor, prompts, max_new_tokens, progress)
    return [[*begin, *ids] for begin, ids in zip(begun, new, strict=True)]
