"""From logits to a token: greedy, temperature, top-p, and a request's own random numbers (lesson 14).

The log-probability that is reported is that of the distribution really drawn from: forbidden ids, temperature and
top-p included. Reinforcement learning computes its loss with the same functions, or it would compare two
distributions. Token n of a request is drawn with the n-th number of the request's own stream, so what it says does not
depend on who shares the batch. Kimi-VL's own advice is temperature 0.2 for Instruct and 0.8 for Thinking models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How a request draws its tokens: `temperature` 0 takes the likeliest; `top_p` keeps the smallest set of that mass.

    `seed`, a whole number or several, names the stream of random numbers. Raises `ValueError` out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | Sequence[int] = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf") or not 0 < self.top_p <= 1:
            raise ValueError(f"temperature {self.temperature}, top_p {self.top_p}: need >= 0 and (0, 1]")

    def stream(self, start: int, count: int) -> np.ndarray:
        """Numbers `start` to `start + count` of the stream, float64 in [0, 1)."""
        return np.random.default_rng(self.seed).random(start + count)[start:]


def log_distribution(logits: Tensor, temperature: float | Tensor, banned: Tensor) -> Tensor:
    """Logits (N, V) to log-probabilities (N, V), float32; `banned` (V,) ids get -inf."""
    return (logits.float() / temperature).masked_fill(banned, -torch.inf).log_softmax(dim=-1)


def keep_top(log_probs: Tensor, top_p: Tensor) -> Tensor:
    """The smallest set of ids whose mass reaches top_p (N,), renormalised; the others get -inf. (N, V) to (N, V)."""
    probs, order = log_probs.exp().sort(dim=-1, descending=True)
    outside = probs.cumsum(dim=-1) - probs >= top_p[:, None]
    return log_probs.masked_fill(outside.gather(1, order.argsort(dim=-1)), -torch.inf).log_softmax(dim=-1)


def draw(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """One id per row of (N, V) for given random numbers (N,) in [0, 1).

    It is the id at which the cumulated probability first exceeds the random number.
    """
    cdf = log_probs.double().exp().cumsum(dim=-1)
    total = cdf[:, -1]
    threshold = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cdf, threshold[:, None], right=True)[:, 0]


def choose(
    logits: Tensor,
    temperature: Tensor,
    top_p: Tensor,
    uniform: Tensor,
    banned: Tensor,
    greedy: bool = False,
    nucleus: bool = True,
) -> tuple[Tensor, Tensor]:
    """Tokens (B,) and log-probabilities (B, V) of the distributions they were drawn from.

    logits (B, V); temperature, top_p, uniform (B,); banned (V,). At temperature 0 the likeliest id is taken, and the
    log-probabilities are those at temperature 1. `greedy` says that all rows are so, `nucleus` that some top_p is below
    1: what is not needed is not computed.
    """
    likeliest = temperature == 0
    log_probs = log_distribution(logits, 1.0 if greedy else temperature.masked_fill(likeliest, 1.0)[:, None], banned)
    best = log_probs.argmax(dim=-1)
    if greedy:
        return best, log_probs
    if nucleus:
        log_probs = torch.where((likeliest | (top_p >= 1))[:, None], log_probs, keep_top(log_probs, top_p))
    return torch.where(likeliest, best, draw(log_probs, uniform)), log_probs
