"""Test-time scaling: how much right answers rise with the room for thinking (lesson 15).

Kimi-VL's report (arXiv 2504.07491, figure 13) limits the thinking tokens of one model and plots its accuracy against
the limit. Here: let the model think up to the limit; if it has not closed its thinking by then, write ◁/think▷ for it,
and let it answer from what it has. Decoding is greedy, so one run with the largest limit holds the thinking of all
smaller ones: it is cut, not generated again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minikimi.answers import exact_match
from minikimi.data import forms
from minikimi.evaluation.ask import generate
from minikimi.evaluation.minis import held_out
from minikimi.evaluation.settings import Settings
from minikimi.evaluation.statistics import bootstrap
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import END_THINK, THINK
from minikimi.sample import Sample

SCALED_TASKS = ("chart", "sum", "count", "arithmetic")


def think(
    model: KimiVL, processor: Processor, samples: Sequence[Sample], limit: int
) -> tuple[list[list[int]], list[bool]]:
    """The thinking about each sample, at most `limit` tokens, without its marks; and whether it ended by itself."""
    opening, closing = (processor.tokenizer.encode(mark) for mark in (THINK, END_THINK))
    prompts = [forms.prompt(processor, sample).followed_by(opening) for sample in samples]
    # Room for the closing mark itself, which is several tokens in most vocabularies.
    outputs = generate(model, processor, prompts, limit + len(closing))
    thoughts = [until_closed(processor, ids, limit) for ids in outputs]
    return thoughts, [END_THINK in str(processor.decode(ids)) for ids in outputs]


def until_closed(processor: Processor, ids: Sequence[int], limit: int) -> list[int]:
    """The ids of what was written before the first ◁/think▷, at most `limit` of them. Control tokens are left out: fed
    back, they would open a turn or a picture.
    """
    thought, closed, _ = str(processor.decode(ids)).partition(END_THINK)
    ordinary = [i for i in ids if i < processor.tokenizer.base_size]
    return (processor.tokenizer.encode(thought) if closed else ordinary)[:limit]


def answer_after(
    model: KimiVL, processor: Processor, samples: Sequence[Sample], thoughts: Sequence[Sequence[int]], room: int
) -> list[str]:
    """What the model answers when its thinking is cut to `thoughts` and closed."""
    opening, closing = (processor.tokenizer.encode(mark) for mark in (THINK, END_THINK))
    prompts = [
        forms.prompt(processor, sample).followed_by([*opening, *thought, *closing])
        for sample, thought in zip(samples, thoughts, strict=True)
    ]
    return [str(processor.decode(ids)) for ids in generate(model, processor, prompts, room)]


def test_time_scaling(
    model: KimiVL, processor: Processor, options: Settings, tasks: Sequence[str] = SCALED_TASKS
) -> dict[str, Any] | None:
    """Shares of right answers of a thinking model at every limit: the entry `test_time_scaling` of evaluation.json.

    None for a model that does not think: one that, begun with ◁think▷, closes fewer than half of its thoughts even
    within the largest limit.
    """
    samples = {task: held_out(task, options.seed, options.scaling_per_task) for task in tasks}
    limits = options.scaling_limits
    thoughts: dict[str, list[list[int]]] = {}
    ended: list[bool] = []
    for task in tasks:
        thoughts[task], closed = think(model, processor, samples[task], max(limits))
        ended += closed
    if 2 * sum(ended) < len(ended):
        return None
    right: dict[str, list[list[float]]] = {task: [] for task in tasks}
    for task in tasks:
        for limit in limits:
            cut = [thought[:limit] for thought in thoughts[task]]
            answers = answer_after(model, processor, samples[task], cut, options.answer_tokens)
            pairs = zip(answers, samples[task], strict=True)
            right[task].append([float(exact_match(answer, sample.answer).right) for answer, sample in pairs])
    used = [float(np.mean([min(len(t), limit) for task in tasks for t in thoughts[task]])) for limit in limits]
    shares = {task: [float(np.mean(column)) for column in right[task]] for task in tasks}
    return {
        "limits": list(limits),
        "tasks": shares,
        "mean": [float(np.mean(column)) for column in zip(*shares.values(), strict=True)],
        "interval": [bootstrap([right[task][k] for task in tasks]) for k in range(len(limits))],
        "used": used,
        "n": sum(map(len, samples.values())),
    }
