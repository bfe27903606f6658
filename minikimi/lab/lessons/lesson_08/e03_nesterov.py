"""Exercise 8.3: Momentum that looks ahead (difficulty 2, 3 minutes)

Hint 1: First M = mu M + G in place, with the whole gradient. Then return G + mu M, with the new M.

Hint 2: momentum_buffer.mul_(mu).add_(grad); return grad.add(momentum_buffer, alpha=mu).

Why: The scale of the sum does not matter, for Newton-Schulz removes it; the mixture of new and old does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.optim.muon import nesterov

wrong = Wrongs()


def buffer_and_direction(answer, momentum_buffer: Tensor, grad: Tensor, mu: float) -> tuple[Tensor, Tensor]:
    direction = answer(momentum_buffer, grad, mu)
    return momentum_buffer, direction


def momentum_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [
        (numbers(seed, 3, 4, dtype=dtype), numbers(seed + 1, 3, 4, dtype=dtype), 0.95),
        (numbers(seed, 2, 2, dtype=dtype), numbers(seed + 2, 2, 2, dtype=dtype), 0.5),
    ]


@wrong("plain momentum", "That returns M. Nesterov's form returns G + mu M.")
def plain_momentum(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    return momentum_buffer.mul_(mu).add_(grad).clone()


@wrong("an average", "M sums gradients: mu M + G, not mu M + (1 - mu) G as in Adam.")
def averaged(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    momentum_buffer.lerp_(grad, 1 - mu)
    return grad.lerp(momentum_buffer, mu)


@wrong("buffer not updated", "The buffer must change in place, or every step starts without a memory.")
def forgetful(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    return grad + mu * (mu * momentum_buffer + grad)


@wrong("mu on the gradient", "mu belongs to the buffer: V = G + mu M, not M + mu G.")
def mu_on_the_gradient(momentum_buffer: Tensor, grad: Tensor, mu: float) -> Tensor:
    return momentum_buffer.mul_(mu).add_(grad) + mu * grad


EXERCISE = Exercise(
    **words(__doc__), solution=nesterov, cases=momentum_cases, run=buffer_and_direction, dtypes=BOTH, wrong=wrong
)
