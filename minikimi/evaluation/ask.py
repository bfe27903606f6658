"""Putting many questions to a model: greedy answers to all of them, on the engine (lesson 15).

A question is put in a form of `minikimi.data.forms`: `chat` or `think` after fine-tuning; `document` to a base model,
which has never seen the chat template and writes on up to [EOS]; `told` to a language model that has no eyes yet. In
`think`, ◁think▷ is already written where a task has worked steps: a model that can do both is asked to think.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from minikimi.data import forms
from minikimi.inference.engine import Engine
from minikimi.inference.request import STOP, Request
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Encoded, Processor
from minikimi.processor.text.chat import THINK
from minikimi.processor.text.special_tokens import STOPS
from minikimi.sample import Sample

CACHED_TOKENS = 2**18  # what all slots together may hold
CHUNK = 16384  # tokens of prompts read at one time


def fits(model: KimiVL, prompt: Encoded, max_new_tokens: int) -> bool:
    """Whether a prompt and its answer fit together into the model's context."""
    return len(prompt.input_ids) + max_new_tokens <= model.config.text_config.max_position_embeddings


def generate(
    model: KimiVL,
    processor: Processor,
    prompts: Sequence[Encoded],
    max_new_tokens: int,
    progress: Callable[[int], None] = lambda done: None,
    slots: int = 64,
) -> list[list[int]]:
    """Greedy continuations of all prompts, in order, each without its stop token.

    At most `slots` run at one time, fewer where they are long. A prompt that does not fit (see `fits`) cannot be asked;
    it gets an empty answer, which no rule accepts.
    """
    model.eval()
    stops = tuple(processor.tokenizer.special_id(name) for name in STOPS)
    fitting = {
        i: Request(p, max_new_tokens, stop_ids=stops) for i, p in enumerate(prompts) if fits(model, p, max_new_tokens)
    }
    out: list[list[int]] = [[] for _ in prompts]
    if not fitting:
        return out
    requests = sorted(fitting.values(), key=lambda request: len(request.tokens))  # like lengths run together
    capacity = len(requests[-1].tokens) + max_new_tokens
    slots = min(slots, len(requests), max(1, CACHED_TOKENS // capacity))
    Engine(model, slots, capacity, CHUNK).run(requests, progress)
    for i, request in fitting.items():
        out[i] = request.ids[:-1] if request.finish == STOP else request.ids
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
