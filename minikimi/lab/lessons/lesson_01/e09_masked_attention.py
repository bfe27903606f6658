"""Exercise 1.9: Attention within images (difficulty 3, 5 minutes)

Hint 1: Forbidden scores must get weight exactly 0 *after* the softmax. Which number has exponential 0?

Hint 2: scores.masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v, with scores = q @ k.T * d ** -0.5.

Why: The softmax turns a score s into e^s: only minus infinity gives weight 0. A score of 0 is a weight of 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_01.e08_same_image_mask import same_image_mask
from minikimi.model.patches import cumulative_lengths

wrong = Wrongs()


def masked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q, k, v (P, d) and mask (P, P), True where allowed, to (P, d)."""
    scores = q @ k.T * q.shape[-1] ** -0.5
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v


def attention_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    lengths = [(3, 4, 2), (5, 1, 2 + seed)]
    masks = [same_image_mask(cumulative_lengths(torch.tensor(n))) for n in lengths]
    tensors = [[numbers(10 * seed + i, len(mask), 6, dtype=dtype) for i in range(3)] for mask in masks]
    return [(*qkv, mask) for qkv, mask in zip(tensors, masks, strict=True)]


@wrong("no mask", "mask is not used: every image sees every other one.")
def no_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T * q.shape[-1] ** -0.5).softmax(dim=-1) @ v


@wrong(
    "mask added as 0 and 1",
    "Adding 1 to allowed scores multiplies their weight by e, 2.7 times. It favours, it does not forbid.",
)
def added_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T * q.shape[-1] ** -0.5 + mask.to(q.dtype)).softmax(dim=-1) @ v


@wrong("no scale", "Divide the scores by the square root of the head width d.")
def without_scale(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T).masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v


@wrong(
    "softmax over the queries",
    "Each query spreads a weight of 1 over the keys, and keys are the last axis: softmax(dim=-1).",
)
def over_queries(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T * q.shape[-1] ** -0.5).masked_fill(~mask, float("-inf")).softmax(dim=0) @ v


@wrong(
    "scores multiplied by the mask",
    "A forbidden score becomes 0, and e^0 = 1 is a fair share. It must become minus infinity.",
)
def scores_times_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T * q.shape[-1] ** -0.5 * mask).softmax(dim=-1) @ v


@wrong(
    "mask after the softmax",
    "The forbidden weights are gone, but what is left does not add up to 1. Mask before the softmax.",
)
def mask_after_softmax(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return ((q @ k.T * q.shape[-1] ** -0.5).softmax(dim=-1) * mask) @ v


def images_do_not_meet(run, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> None:
    foreign = ~mask[0]
    before = run(q, k, v, mask)[0].float()
    after = run(q, k + 2 * foreign[:, None].to(k.dtype), v - 3 * foreign[:, None].to(v.dtype), mask)[0].float()
    moved = float((after - before).abs().max())
    if not moved < 1e-3:
        raise Misfit(f"other images were repainted, and the answer of the first patch of all moved by {moved:.2f}")


def answers_are_averages(run, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> None:
    total = float(run(q, k, torch.ones_like(v), mask).float().mean())
    if abs(total - 1) > 0.02:
        raise Misfit(f"attention is a weighted mean: where every value is 1, the answer is 1, but yours is {total:.2f}")


properties = (images_do_not_meet, answers_are_averages)
EXERCISE = Exercise(
    **words(__doc__), solution=masked_attention, cases=attention_cases, properties=properties, dtypes=BOTH, wrong=wrong
)
