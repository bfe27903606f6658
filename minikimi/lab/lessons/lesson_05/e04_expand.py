"""Exercise 5.4: From latents to keys and values (difficulty 2, 4 minutes)

Hint 1: The rows of the matrix are sorted by head first: head 0's key and value, head 1's key and value, ...

Hint 2: kv = F.linear(latent, weight).unflatten(-1, (heads, -1)); then split the last axis into nope and the rest.

Why: Each head reads the same latent through its own two small matrices.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def expand(latent: Tensor, weight: Tensor, heads: int, nope: int) -> tuple[Tensor, Tensor]:
    """Latents (..., R) to keys without position (..., H, nope) and values (..., H, d_v)."""
    kv = F.linear(latent, weight).unflatten(-1, (heads, -1))
    k_nope, v = kv.split([nope, kv.shape[-1] - nope], dim=-1)
    return k_nope, v


def expand_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Keys and values of equal width in the second case: there every mistake keeps the shapes.
    return [
        (numbers(seed, 5, 6, dtype=dtype), numbers(seed + 1, 3 * 6, 6, dtype=dtype), 3, 4),
        (numbers(seed + 2, 2, 5, 6, dtype=dtype), numbers(seed + 3, 4 * 4, 6, dtype=dtype), 4, 2),
    ]


@wrong("all keys before all values", "First cut the output into heads, then each head into key and value.")
def keys_before_values(latent: Tensor, weight: Tensor, heads: int, nope: int) -> tuple[Tensor, Tensor]:
    kv = F.linear(latent, weight)
    return kv[..., : heads * nope].unflatten(-1, (heads, -1)), kv[..., heads * nope :].unflatten(-1, (heads, -1))


@wrong("value before key", "Within a head the key's channels stand first.")
def values_first(latent: Tensor, weight: Tensor, heads: int, nope: int) -> tuple[Tensor, Tensor]:
    kv = F.linear(latent, weight).unflatten(-1, (heads, -1))
    v, k_nope = kv.split([kv.shape[-1] - nope, nope], dim=-1)
    return k_nope, v


@wrong("heads as the inner axis", "unflatten(-1, (heads, -1)): the head is the outer, slowly changing axis.")
def heads_innermost(latent: Tensor, weight: Tensor, heads: int, nope: int) -> tuple[Tensor, Tensor]:
    kv = F.linear(latent, weight).unflatten(-1, (-1, heads)).transpose(-1, -2)
    return kv[..., :nope], kv[..., nope:]


EXERCISE = Exercise(**words(__doc__), solution=expand, cases=expand_cases, dtypes=BOTH, wrong=wrong)
