"""Exact match on held-out samples, beside two baselines that cannot see (lesson 15).

* `exact`: the model answers with the picture, greedily; right only if the whole answer is right.
* `blind`: the same model and question without the picture. What it gets right needs no eyes.
* `prior`: the commonest training answer to this kind of question. What it gets right needs no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from minikimi.data.sample import Sample
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor import Processor


def normalise(text: str) -> str:
    """Answers are compared without surrounding blanks and a closing full stop; letters must agree in case."""
    return " ".join(text.split()).removesuffix(".")


def prompt(sample: Sample, blind: bool = False) -> list[dict[str, Any]]:
    """The conversation up to the answer, without its image parts if `blind`."""
    turns = sample.messages[:-1]
    if not blind:
        return turns
    return [
        turn | {"content": [part for part in turn["content"] if part["type"] != "image"]}
        if isinstance(turn["content"], list)
        else turn
        for turn in turns
    ]


def answers(
    model: KimiVL,
    processor: Processor,
    samples: Sequence[Sample],
    blind: bool = False,
    batch: int = 64,
    max_new_tokens: int = 32,
    progress: Callable[[int], None] = lambda done: None,
) -> list[str]:
    """Greedy answers, in order. `progress` is told how many were just answered."""
    model.eval()
    out: list[str] = []
    for start in range(0, len(samples), batch):
        chunk = samples[start : start + batch]
        images = [[] if blind else sample.images for sample in chunk]
        inputs = processor([prompt(sample, blind) for sample in chunk], images, add_generation_prompt=True)
        inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
        out += processor.decode(model.generate(**inputs, max_new_tokens=max_new_tokens))
        progress(len(chunk))
    return out


def score(
    samples: Sequence[Sample], seen: Sequence[str], blind: Sequence[str], prior: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Per task: n, and the shares of right answers `exact` (with a 95 % bootstrap interval), `blind` and `prior`."""
    right: dict[str, list[tuple[bool, bool, bool]]] = {}
    for sample, a, b in zip(samples, seen, blind, strict=True):
        truth = normalise(sample.answer)
        guesses = (a, b, prior.get(sample.kind, ""))
        right.setdefault(sample.task, []).append(tuple(normalise(guess) == truth for guess in guesses))  # type: ignore[arg-type]
    tasks = {}
    for task, rows in sorted(right.items()):
        exact, blind_share, prior_share = (float(x) for x in np.mean(rows, axis=0))
        interval = bootstrap([row[0] for row in rows])
        tasks[task] = {"n": len(rows), "exact": exact, "blind": blind_share, "prior": prior_share, "interval": interval}
    return tasks


def mean_over_tasks(tasks: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """The unweighted mean over tasks of each share."""
    return {name: float(np.mean([task[name] for task in tasks.values()])) for name in ("exact", "blind", "prior")}


def bootstrap(right: Sequence[bool], draws: int = 1000, seed: int = 0) -> list[float]:
    """95 % interval of a share: quantiles of the share over `draws` resamples."""
    values = np.asarray(right, dtype=float)
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    return [float(q) for q in np.quantile(values[picks].mean(axis=1), [0.025, 0.975])]
