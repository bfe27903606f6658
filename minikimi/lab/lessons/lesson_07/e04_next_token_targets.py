"""Exercise 7.4: Shift within each sequence (difficulty 2, 3 minutes)

Hint 1: roll(-1) puts each token's successor in its place. Which places of the pack now hold a stranger's token?

Hint 2: targets = labels.roll(-1), then targets[cu_seqlens[1:].long() - 1] = ignore_index: the last place of every
sequence.

Why: In a pack, the last token of a conversation is followed by the first token of another one. Nothing about it can be
known, and nothing should be learnt.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.model.kimi_vl import next_token_targets

wrong = Wrongs()


def target_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Every sequence begins with a label that counts, so a prediction across a border shows; one has a single token.
    long = torch.tensor([11, 12, -100, 14, 21 + seed, 31, 32, 33, -100, 35])
    return [
        (torch.tensor([5, 6, 7, 8, 9 + seed]), torch.tensor([0, 2, 5], dtype=torch.int32)),
        (long, torch.tensor([0, 4, 5, 10], dtype=torch.int32)),
    ]


def nothing_crosses(run, labels: Tensor, cu_seqlens: Tensor) -> None:
    targets = run(labels, cu_seqlens)
    if targets.shape != labels.shape:
        raise Misfit(f"{len(labels)} labels give {len(targets)} targets; keep the length, -100 marks no target")
    for s, end in enumerate(cu_seqlens[1:].tolist()):
        if int(targets[end - 1]) != -100:
            raise Misfit(
                f"the last token of sequence {s} is asked for {int(targets[end - 1])}; nothing follows it in its own "
                "sequence, so it has no target"
            )


@wrong(
    "predictions cross the borders",
    "Only the pack's very last place is cleared. Every sequence has a last place: cu_seqlens[1:] - 1.",
)
def across_borders(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    targets = labels.roll(-1)
    targets[-1] = -100
    return targets


@wrong(
    "not shifted",
    "A model that is asked for the token it reads learns to copy. The target of place t is label t + 1.",
)
def not_shifted(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    return labels.clone()


@wrong("shifted the other way", "roll(1) asks for the token before, which the model has already seen. Use roll(-1).")
def shifted_backwards(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    return labels.roll(1).index_fill(0, cu_seqlens[:-1].long(), -100)


@wrong(
    "the first place cleared",
    "The first place of a sequence has a successor. It is the last one, cu_seqlens[1:] - 1, that has none.",
)
def firsts_removed(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    return labels.roll(-1).index_fill(0, cu_seqlens[:-1].long(), -100)


@wrong(
    "one shorter",
    "Cutting the last place off works for one sequence. Here keep all T places; -100 says 'no target'.",
)
def one_shorter(labels: Tensor, cu_seqlens: Tensor) -> Tensor:
    return next_token_targets(labels, cu_seqlens)[:-1]


EXERCISE = Exercise(
    **words(__doc__), solution=next_token_targets, cases=target_cases, properties=(nothing_crosses,), wrong=wrong
)
