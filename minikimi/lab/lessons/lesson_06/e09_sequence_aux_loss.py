"""Exercise 6.9: Balance within a sequence (difficulty 4, 7 minutes)

Hint 1: zeros.index_add(0, segment, values) sums the rows of each sequence: do it with `chosen` and with the scores.

Hint 2: frequency = zeros.index_add(0, segment, chosen) * experts / (steps * top_k); mean_score = the same sum of scores
/ steps.

Why: Counts have no gradient, scores have one. The product pushes down the scores of experts that are busy in this
sequence.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.moe import Routing, sequence_aux_loss

wrong = Wrongs()


def routing_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Unequal lengths, an empty sequence, and never as many sequences as choices: every misplaced divisor shows.
    cases = []
    for bounds, experts, top_k in (([0, 3, 10, 12], 5, 2), ([0, 4, 4, 15], 6, 3)):
        scores = numbers(seed + top_k, bounds[-1], experts).sigmoid()
        indices = scores.topk(top_k, dim=-1).indices
        cases.append((Routing(scores, indices, scores.gather(1, indices)), torch.tensor(bounds, dtype=torch.int32)))
    return cases


@wrong("the whole batch as one sequence", "Balance is asked of each sequence: sum by `segment`, not over all tokens.")
def one_long_sequence(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    return sequence_aux_loss(routing, cu_seqlens[[0, -1]])


@wrong("K forgotten", "A token makes K choices: divide counts by steps * top_k, so that even load has frequency 1.")
def not_per_choice(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    return sequence_aux_loss(routing, cu_seqlens) * routing.indices.shape[1]


@wrong("sum over sequences", "Divide by the number of sequences that have tokens, or long batches would weigh more.")
def summed_over_sequences(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    return sequence_aux_loss(routing, cu_seqlens) * (cu_seqlens.diff() > 0).sum()


@wrong(
    "scores normalised over the experts",
    "P is the mean of the bare sigmoid scores in the released code; they need not sum to 1.",
)
def normalised_scores(routing: Routing, cu_seqlens: Tensor) -> Tensor:
    shares = routing.scores / routing.scores.sum(dim=-1, keepdim=True)
    return sequence_aux_loss(Routing(shares, routing.indices, routing.weights), cu_seqlens)


EXERCISE = Exercise(**words(__doc__), solution=sequence_aux_loss, cases=routing_cases, wrong=wrong)
