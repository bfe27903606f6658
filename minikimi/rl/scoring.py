"""From responses to rewards and advantages, and what of it goes into the log (lesson 14).

The names in the log are those of TRL, so that curves can be laid side by side. Every reward function has its own: a
total that rises may be the format alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from minikimi.inference.request import LENGTH, REPETITION, STOP
from minikimi.processor.processor import Processor
from minikimi.rl.problems import informative
from minikimi.rl.response import Group, Response
from minikimi.rl.rewards import evaluate, length_rewards
from minikimi.rl.rollout_settings import RolloutSettings


@dataclass
class Scored:
    """A problem whose k responses have all ended: how much better than their mean each is, which are correct, and
    whether the problem teaches anything."""

    group: Group
    advantages: list[float]
    correct: list[bool]
    informative: bool


def is_correct(response: Response, settings: RolloutSettings) -> bool:
    """The first reward function's word."""
    return response.parts[next(iter(settings.rewards))] > 0.5


def score(group: Group, processor: Processor, settings: RolloutSettings, iteration: int) -> Scored:
    """Score a complete group: sets `parts` and `total` of its responses. What did not end by itself earns nothing."""
    responses, sample = group.responses, group.sample
    texts = [str(processor.decode(r.ids)) for r in responses]
    row = {"answer": sample.answer, "facts": sample.facts, "task": sample.task, "id": sample.id}
    columns = {name: [value] * len(responses) for name, value in {**row, "question": sample.question}.items()}
    for response, parts in zip(responses, evaluate(list(settings.rewards), texts, columns), strict=True):
        response.parts = parts if response.end == STOP else dict.fromkeys(parts, 0.0)
    correct = [is_correct(r, settings) for r in responses]
    weight = settings.length_weight if iteration >= settings.length_from else 0.0
    shortness = length_rewards([len(r.ids) for r in responses], correct)
    for response, short in zip(responses, shortness, strict=True):
        total = sum(settings.rewards[name] * value for name, value in response.parts.items())
        penalty = settings.repetition_penalty if response.end == REPETITION else 0.0
        response.total = total + weight * short - penalty
    totals = [r.total for r in responses]
    useful = informative(totals, correct, settings.min_success, settings.max_success)
    return Scored(group, [total - fmean(totals) for total in totals], correct, useful)


def metric_names(settings: RolloutSettings) -> list[str]:
    """Names of all that `metrics` and the engine report, in order."""
    rewards = [f"rewards/{name}/{what}" for name in settings.rewards for what in ("mean", "std")]
    lengths = [f"completions/{what}_length" for what in ("min", "mean", "max")]
    ended = [f"completions/{what}_terminated_length" for what in ("min", "mean", "max")]
    return [
        "iteration", "reward", "reward_std", *rewards, "frac_reward_zero_std", "success", *lengths, *ended,
        "completions/clipped_ratio", "completions/repetition_ratio", "unfinished", "problems", "responses",
        "rollout_seconds", "rollout_share", "pass@1", "pass@k",
    ]  # fmt: skip


def metrics(scored: Sequence[Scored], settings: RolloutSettings) -> dict[str, float]:
    """Rewards, lengths and ends of an iteration, problems without a lesson included."""
    responses = [r for s in scored for r in s.group.responses]
    if not responses:
        return {"responses": 0.0}
    totals = [[r.total for r in s.group.responses] for s in scored]
    out = {
        "reward": fmean(r.total for r in responses),
        "reward_std": fmean(stdev(t) for t in totals),
        "frac_reward_zero_std": fmean(float(max(t) - min(t) <= 1e-6) for t in totals),
        "success": fmean(float(c) for s in scored for c in s.correct),
        "completions/clipped_ratio": fmean(float(r.end == LENGTH) for r in responses),
        "completions/repetition_ratio": fmean(float(r.end == REPETITION) for r in responses),
        "problems": float(len(scored)),
        "responses": float(len(responses)),
    }
    for name in settings.rewards:
        values = [r.parts[name] for r in responses]
        out |= {f"rewards/{name}/mean": fmean(values), f"rewards/{name}/std": stdev(values)}
    for suffix, chosen in (("", responses), ("_terminated", [r for r in responses if r.end == STOP])):
        lengths = [len(r.ids) for r in chosen] or [0]
        named = {"min": min(lengths), "mean": fmean(lengths), "max": max(lengths)}
        out |= {f"completions/{what}{suffix}_length": float(value) for what, value in named.items()}
    return out
