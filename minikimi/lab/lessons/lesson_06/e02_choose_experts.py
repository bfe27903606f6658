"""Exercise 6.2: Choose with the bias (difficulty 1, 2 minutes)

Hint 1: topk along the experts, of the score plus the bias; you need its indices, not its values.

Hint 2: (scores + bias).topk(top_k, dim=-1).indices: bias (E,) is added to every token's row.

Why: The bias is a handicap in the race and nothing else: it decides who takes part.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def choose_experts(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    """Scores (T, E) and selection bias (E,) to the chosen experts (T, K)."""
    return (scores + bias).topk(top_k, dim=-1, sorted=False).indices


def sorted_choice(answer, scores: Tensor, bias: Tensor, top_k: int) -> Tensor | None:
    """The order within a token means nothing, so it is sorted away."""
    chosen = answer(scores, bias, top_k)
    return chosen.sort(dim=-1).values if isinstance(chosen, Tensor) and chosen.ndim else chosen


def choice_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A bias large enough to change choices, with both signs; as many tokens as experts, so that a wrong axis runs.
    return [
        (numbers(seed, 6, 6).sigmoid(), 0.4 * numbers(seed + 5, 6), 2),
        (numbers(seed + 3, 8, 5).sigmoid(), 0.4 * numbers(seed + 6, 5), 3),
    ]


@wrong("bias ignored", "Rank experts by scores + bias; without it, nothing balances them.")
def bias_ignored(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    return choose_experts(scores, 0 * bias, top_k)


@wrong("bias subtracted", "A positive bias must help an expert to be chosen: add it to the scores.")
def bias_subtracted(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    return choose_experts(scores, -bias, top_k)


@wrong("bias as a factor", "The bias is an addend: scores + bias, not scores * (1 + bias).")
def bias_multiplied(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    return choose_experts(scores * (1 + bias), 0 * bias, top_k)


@wrong(
    "experts choosing tokens",
    "dim=0 picks tokens for each expert (a method of its own, expert choice). Here each token picks: dim=-1.",
)
def experts_choose_tokens(scores: Tensor, bias: Tensor, top_k: int) -> Tensor:
    return (scores + bias).topk(top_k, dim=0).indices.T


EXERCISE = Exercise(**words(__doc__), solution=choose_experts, cases=choice_cases, run=sorted_choice, wrong=wrong)
