"""Exercise 8.10: ZeRO-1 with two ranks (difficulty 3, 6 minutes)

Hint 1: For each matrix: average its gradients over the ranks, let the owner do muon_update, copy the result to every
rank.

Hint 2: torch.stack([mine[i] for mine in grads]).mean(0); muon_update(replicas[rank][i], buffers[rank][i], ...);
replica[i].copy_(new) for each replica.

Why: Each momentum buffer exists once, on its owner, and the result is that of a single process: the sum of all ranks'
work is not repeated.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_08.e06_muon_update import muon_update
from minikimi.optim.newton_schulz import newton_schulz

wrong = Wrongs()

Copies = list[list[Tensor]]  # [rank][matrix]


Owned = list[dict[int, Tensor]]  # [rank]: matrix to its momentum


def zero1_step(replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float):
    """One step of Muon on all ranks' copies, in place; matrix i is updated by rank owner[i] alone."""
    for i, rank in enumerate(owner):
        grad = torch.stack([mine[i] for mine in grads]).mean(0)  # reduce
        new = muon_update(replicas[rank][i], buffers[rank][i], grad, lr, weight_decay)
        for replica in replicas:  # all-gather
            replica[i].copy_(new)


def after_step(answer, replicas: Copies, buffers: Owned, *how) -> tuple[list, list]:
    answer(replicas, buffers, *how)
    return replicas, [list(mine.values()) for mine in buffers]


def rank_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Gradients differ between ranks, momentum is not zero, and no rank owns a matrix of its own number only.
    cases = []
    for shapes, owner in ((((4, 6), (5, 3), (2, 3)), [1, 0, 1]), (((4, 4), (2, 5)), [0, 1])):
        weights = [numbers(seed + i, *shape) for i, shape in enumerate(shapes)]
        buffers = [{i: numbers(seed + 9 + i, *s) for i, s in enumerate(shapes) if owner[i] == r} for r in range(2)]
        grads = [[numbers(seed + 20 * (r + 1) + i, *s) for i, s in enumerate(shapes)] for r in range(2)]
        cases.append(([[w.clone() for w in weights] for _ in range(2)], buffers, grads, owner, 0.3, 0.5))
    return cases


@wrong("the owner's gradient only", "The other ranks saw other samples: average the gradients of all ranks first.")
def own_gradient_only(
    replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float
):
    mine = [grads[rank][i] for i, rank in enumerate(owner)]
    zero1_step(replicas, buffers, [mine, mine], owner, lr, weight_decay)


@wrong(
    "not sent round",
    "Only the owner's copy changed; the others would compute with old weights. Copy the result to all.",
)
def not_sent_round(replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float):
    before = [[p.clone() for p in mine] for mine in replicas]
    zero1_step(replicas, buffers, grads, owner, lr, weight_decay)
    for rank, mine in enumerate(replicas):
        for i, p in enumerate(mine):
            if owner[i] != rank:
                p.copy_(before[rank][i])


@wrong(
    "orthogonalised before the average",
    "Average first: the mean of two orthogonal matrices is not orthogonal, and each rank would do the work.",
)
def orthogonalised_by_rank(
    replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float
):
    zero1_step(replicas, buffers, [[newton_schulz(g) for g in mine] for mine in grads], owner, lr, weight_decay)


@wrong("momentum not kept", "The owner's buffer must change in place, or the next step has no memory of this one.")
def momentum_left_alone(
    replicas: Copies, buffers: Owned, grads: Copies, owner: list[int], lr: float, weight_decay: float
):
    zero1_step(replicas, copy.deepcopy(buffers), grads, owner, lr, weight_decay)


def copies_agree(run, *case) -> None:
    replicas, _ = run(*case)
    for i, (p, q) in enumerate(zip(*replicas, strict=True)):
        if not torch.equal(p, q):
            raise Misfit(f"after the step the ranks' copies of matrix {i} differ; send the owner's result to all")


EXERCISE = Exercise(
    **words(__doc__), solution=zero1_step, cases=rank_cases, run=after_step, properties=(copies_agree,), wrong=wrong
)
