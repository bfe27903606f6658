"""Exercise 6.3: Weights of the chosen experts (difficulty 2, 4 minutes)

Hint 1: Pick the chosen scores with gather, divide by their sum over the K chosen, multiply by scaling.

Hint 2: w = scores.gather(1, indices), then w / (w.sum(dim=-1, keepdim=True) + 1e-20) * scaling. One argument is not
needed.

Why: The bias is set by a rule, not by gradients, so it must not change what the layer computes from a given choice.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_06.e02_choose_experts import choose_experts

wrong = Wrongs()


def expert_weights(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    """What each chosen expert's output is multiplied by, (T, K)."""
    weights = scores.gather(1, indices)
    return weights / (weights.sum(dim=-1, keepdim=True) + 1e-20) * scaling


def weight_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    cases = []
    for scaling, top_k, experts in ((1.4088, 2, 5), (2.446, 3, 8)):
        scores, bias = numbers(seed + top_k, 4, experts).sigmoid(), 0.3 * numbers(seed + 7, experts)
        cases.append((scores, bias, choose_experts(scores, bias, top_k), scaling))
    return cases


@wrong(
    "bias in the weights",
    "The bias is for choosing only. Weights come from the bare scores, or balancing would change the output.",
)
def biased_weights(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return expert_weights(scores + bias, bias, indices, scaling)


@wrong("not renormalised", "Divide by the sum of the K chosen scores, so that only their proportions count.")
def not_renormalised(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return scores.gather(1, indices) * scaling


@wrong("not scaled", "After dividing by the sum, multiply by `scaling`.")
def not_scaled(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return expert_weights(scores, bias, indices, 1.0)


@wrong(
    "shares among all experts",
    "You divide by the sum over all E experts. Gather first: only the chosen ones share the token.",
)
def share_of_all(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return (scores / scores.sum(dim=-1, keepdim=True)).gather(1, indices) * scaling


@wrong(
    "softmax of the chosen scores",
    "Scores are positive already: divide them by their sum, without another exponential.",
)
def softmax_weights(scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> Tensor:
    return scores.gather(1, indices).softmax(dim=-1) * scaling


def sums_to_scaling(run, scores: Tensor, bias: Tensor, indices: Tensor, scaling: float) -> None:
    sums = run(scores, bias, indices, scaling).sum(dim=-1)
    if (sums - scaling).abs().max() > 1e-3:
        raise Misfit(f"the weights of every token must sum to {scaling}; those of token 0 sum to {float(sums[0]):.3f}")


EXERCISE = Exercise(
    **words(__doc__), solution=expert_weights, cases=weight_cases, properties=(sums_to_scaling,), wrong=wrong
)
