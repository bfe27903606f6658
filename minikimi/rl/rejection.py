"""Rejection sampling: the model writes worked solutions, those that end in the right answer stay (lessons 13, 14).

Twice in the recipe: the warm-up set of the long-CoT stage, and shortest rejection sampling, where of 8 solutions the
shortest correct one is kept, so that fine-tuning on them shortens the thoughts. Sources: Kimi-VL report (arXiv
2504.07491), section 2.4; Kimi k1.5 report (arXiv 2501.12599), section 2.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minikimi.answers import split_thought
from minikimi.data.loader import Source
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.processor.text.chat import THINK
from minikimi.rl.passk import sample_groups
from minikimi.rl.response import Group, Response
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.sample import Sample

VERIFIED = {"exact": 1.0, "format": 0.0}  # right, and a thought with an answer behind it


def verified(group: Group) -> list[Response]:
    """The responses that every reward function takes for right."""
    return [r for r in group.responses if min(r.parts.values()) > 0.5]


def verified_solutions(
    model: KimiVL,
    processor: Processor,
    source: Source,
    problems: int,
    samples: int = 4,
    max_new_tokens: int = 128,
    temperature: float = 0.8,
    shortest: bool = False,
    seed: int = 0,
    batch: int = 16,
) -> list[Sample]:
    """Try the first `problems` samples of `source`, `samples` times each; return those that were solved.

    The solution of a returned sample is the thought of its first correct response, or of its `shortest`. Every response
    begins with ◁think▷, so that a model that may also answer at once thinks.
    """
    settings = RolloutSettings(
        samples=max(2, samples), max_new_tokens=max_new_tokens, temperature=temperature, rewards=VERIFIED
    )
    tried = [source[i] for i in range(problems)]
    groups = sample_groups(model, processor, tried, settings, (seed, 1), THINK, batch)
    return solved(groups, processor, shortest)


def solved(groups: Sequence[Group], processor: Processor, shortest: bool) -> list[Sample]:
    """The samples with a verified response, with its thought as their solution."""
    kept = []
    for group in groups:
        right = verified(group)
        if right:
            chosen = min(right, key=lambda r: len(r.ids)) if shortest else right[0]
            thought = split_thought(str(processor.decode(chosen.ids)))
            assert thought is not None  # the reward `format` has said so
            kept.append(replace(group.sample, solution=thought[0]))
    return kept
