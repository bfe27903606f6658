"""pass@1 and pass@k by sampling, with intervals over problems (lessons 14 and 15).

From n samples of which c are correct, 1 - C(n - c, k) / C(n, k) is the chance that k of them drawn without replacement
hold a correct one: unbiased, where 1 - (1 - c/n)^k is not. Problems are the unit of chance: the k samples of one
problem are alike, so the bootstrap draws problems. Source of the estimator: arXiv 2107.03374, section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from minikimi.data import forms
from minikimi.evaluation.statistics import bootstrap
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.rl.policy import Policy
from minikimi.rl.response import Group, Response
from minikimi.rl.rollout import rollout
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.rl.scoring import score
from minikimi.sample import Sample


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Unbiased estimate of the chance that one of k is correct. Raises `ValueError` unless 1 <= k <= samples."""
    if not 1 <= k <= samples or not 0 <= correct <= samples:
        raise ValueError(f"pass@{k} of {correct} correct in {samples} samples: need 1 <= k <= samples")
    return 1.0 - comb(samples - correct, k) / comb(samples, k)


@dataclass
class PassRates:
    """Correct ones among `samples` responses to each problem, and the mean number of tokens of a response to it."""

    samples: int
    correct: list[int]
    tokens: list[float]

    def values(self, k: int) -> list[float]:
        """pass@k of each problem."""
        return [pass_at_k(self.samples, c, k) for c in self.correct]

    def pass_at(self, k: int) -> float:
        return float(np.mean(self.values(k)))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean over problems."""
    low, high = bootstrap([values], draws=2000)
    return low, high


def gain(before: PassRates, after: PassRates, k: int = 1) -> tuple[float, float, float]:
    """(mean, low, high) of pass@k after minus before on the same problems, paired problem by problem."""
    differences = [b - a for a, b in zip(before.values(k), after.values(k), strict=True)]
    return float(np.mean(differences)), *interval(differences)


def sample_groups(
    model: KimiVL,
    processor: Processor,
    samples: Sequence[Sample],
    settings: RolloutSettings,
    key: tuple[int, ...],
    opening: str = "",
    batch: int = 16,
) -> list[Group]:
    """`settings.samples` scored responses to each sample, `batch` problems at a time; `key` seeds them. Every response
    begins with the text `opening`, e.g. the mark that opens a thought.
    """
    policy, groups = Policy.of(model.config, settings.temperature), []
    first = processor.tokenizer.encode(opening)
    for start in range(0, len(samples), batch):
        part = []
        for i, sample in enumerate(samples[start : start + batch], start):
            responses = [Response((*key, i, j), list(first), [0.0] * len(first)) for j in range(settings.samples)]
            part.append(Group(i, sample, forms.prompt(processor, sample), responses))
        rollout(model, policy, [g.prompt for g in part], [g.responses for g in part], settings.max_new_tokens)
        for group in part:
            score(group, processor, settings, iteration=settings.length_from)
        groups += part
    return groups


def pass_rates(
    model: KimiVL,
    processor: Processor,
    samples: Sequence[Sample],
    settings: RolloutSettings,
    key: tuple[int, ...],
    opening: str = "",
) -> PassRates:
    """Sample and count. Correct is what the first reward function of `settings` says."""
    groups = sample_groups(model, processor, samples, settings, key, opening)
    name = next(iter(settings.rewards))
    correct = [sum(r.parts[name] > 0.5 for r in group.responses) for group in groups]
    tokens = [float(np.mean([len(r.ids) for r in group.responses])) for group in groups]
    return PassRates(settings.samples, correct, tokens)
