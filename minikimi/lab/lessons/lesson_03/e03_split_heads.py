"""Exercise 3.3: Queries, keys, values, heads (difficulty 2, 3 minutes)

Hint 1: The last axis holds 3 x H x d numbers, in this order: first all queries, head by head.

Hint 2: q, k, v = rearrange(qkv, "p (three h d) -> three p h d", three=3, h=num_heads).

Why: One matrix of D x 3D is faster than three. Which cut is right is fixed by the released weights alone.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def split_heads(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """qkv (P, 3D) to queries, keys and values, (P, H, d) each."""
    q, k, v = rearrange(qkv, "p (three h d) -> three p h d", three=3, h=num_heads)
    return q, k, v


def split_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Three heads, so that exchanging the axes "which of q, k, v" and "head" keeps the shape.
    return [(numbers(seed, 5, 3 * 12, dtype=dtype), 3), (numbers(seed + 9, 4, 3 * 8, dtype=dtype), 2)]


@wrong("heads outside", "This is (H, 3, d), as GPT-NeoX stores it. Here it is (3, H, d): all queries first.")
def heads_outside(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.unflatten(-1, (num_heads, 3, -1)).unbind(2)
    return q, k, v


@wrong("channels outside", "A head is d neighbouring numbers: heads before channels, (3, H, d), not (3, d, H).")
def channels_outside(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.unflatten(-1, (3, -1, num_heads)).transpose(-1, -2).unbind(1)
    return q, k, v


@wrong("values before keys", "The order is query, key, value.")
def values_second(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = split_heads(qkv, num_heads)
    return q, v, k


@wrong("not cut into heads", "Each of the three still has width D = H * d; cut it into heads: (P, H, d).")
def not_split(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.chunk(3, dim=-1)
    return q, k, v


EXERCISE = Exercise(**words(__doc__), solution=split_heads, cases=split_cases, dtypes=BOTH, wrong=wrong)
