"""Putting many questions to a model: batches of prompts of similar length, greedy answers (lesson 15).

A question is put in a form of `minikimi.data.forms`: `chat` or `think` after fine-tuning; `document` to a base model,
which has never seen the chat template and writes on up to [EOS]; `told` to a language model that has no eyes yet. In
`think`, ◁think▷ is already written where a task has worked steps: a model that can do both is asked to think.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from minikimi.data import forms
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Encoded, Processor
from minikimi.processor.text.chat import THINK
from minikimi.processor.text.special_tokens import STOPS
from minikimi.sample import Sample


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


def fits(model: KimiVL, prompt: Encoded, max_new_tokens: int) -> bool:
    """Whether a prompt and its answer fit together into the model's context."""
    return len(prompt.input_ids) + max_new_tokens <= model.config.text_config.max_position_embeddings


def generate(
    model: KimiVL,
    processor: Processor,
    prompts: Sequence[Encoded],
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
    stops = tuple(processor.tokenizer.special_id(name) for name in STOPS)
    out: list[list[int]] = [[] for _ in prompts]
    for chosen in batches([len(prompts[i].input_ids) for i in fitting], size, tokens):
        chosen = [fitting[k] for k in chosen]
        batch = processor.pad_left([prompts[i] for i in chosen])
        inputs = {name: tensor.to(model.device) for name, tensor in batch.items()}
        answers = model.generate(**inputs, max_new_tokens=max_new_tokens, stop_ids=stops).tolist()
        for i, row in zip(chosen, answers, strict=True):
            out[i] = row[: next((k for k, token in enumerate(row) if token in stops), len(row))]
        progress(len(chosen))
    return out


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
        forms.prompt(processor, sample, form, blind).followed_by(begin)
        for sample, begin in zip(samples, begun, strict=True)
    ]
    new = generate(model, processor, prompts, max_new_tokens, progress)
    return [[*begin, *ids] for begin, ids in zip(begun, new, strict=True)]
