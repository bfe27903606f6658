"""Exercise 8.6: One step of Muon (difficulty 3, 4 minutes)

Hint 1: nesterov, newton_schulz, then: p shrinks by the plain learning rate times decay, and the step is the matched
rate times O.

Hint 2: O = newton_schulz(nesterov(momentum_buffer, grad, 0.95)); p * (1 - lr * weight_decay) - matched_lr(lr, *p.shape)
* O.

Why: Decay with the plain rate is the same for all shapes and for both rules, so one number serves the whole model.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_08.e04_matched_lr import matched_lr
from minikimi.optim.muon import nesterov
from minikimi.optim.newton_schulz import newton_schulz

wrong = Wrongs()


def muon_update(p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float) -> Tensor:
    """One step of Muon on one matrix; returns the new matrix."""
    O = newton_schulz(nesterov(momentum_buffer, grad, 0.95))  # noqa: E741 (the report's letter)
    return p * (1 - lr * weight_decay) - matched_lr(lr, *p.shape) * O


def update_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A large rate and decay, so that the order and the size of the decay show.
    return [
        (3 * numbers(seed, 5, 3), numbers(seed + 1, 5, 3), numbers(seed + 2, 5, 3), 0.5, 0.4),
        (2 * numbers(seed, 3, 8), 0 * numbers(seed + 1, 3, 8), numbers(seed + 2, 3, 8), 0.3, 0.5),
    ]


@wrong(
    "decay with the adjusted rate",
    "Wide matrices would decay faster. Decay multiplies by 1 - lr * weight_decay, with the plain lr.",
)
def decay_with_adjusted_rate(
    p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float
) -> Tensor:
    step = muon_update(p, momentum_buffer, grad, lr, 0.0) - p
    return p * (1 - matched_lr(lr, *p.shape) * weight_decay) + step


@wrong(
    "decay in the gradient",
    "Newton-Schulz forgets the size of what it gets, so decay must act on the weights themselves.",
)
def decay_in_gradient(p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float) -> Tensor:
    return muon_update(p, momentum_buffer, grad + weight_decay * p, lr, 0.0)


@wrong("no decay", "p also shrinks: p * (1 - lr * weight_decay).")
def no_decay(p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float) -> Tensor:
    return muon_update(p, momentum_buffer, grad, lr, 0.0)


@wrong("decay without the rate", "Shrink by lr * weight_decay, not by weight_decay.")
def decay_without_rate(p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float) -> Tensor:
    return muon_update(p, momentum_buffer, grad, lr, weight_decay / lr)


@wrong(
    "orthogonalised before the momentum",
    "First the momentum, then Newton-Schulz: single gradients are "
    "noisy, and a sum of orthogonal matrices is not orthogonal.",
)
def gradient_orthogonalised_first(
    p: Tensor, momentum_buffer: Tensor, grad: Tensor, lr: float, weight_decay: float
) -> Tensor:
    V = nesterov(momentum_buffer, newton_schulz(grad), 0.95)
    return p * (1 - lr * weight_decay) - matched_lr(lr, *p.shape) * V


EXERCISE = Exercise(**words(__doc__), solution=muon_update, cases=update_cases, wrong=wrong)
