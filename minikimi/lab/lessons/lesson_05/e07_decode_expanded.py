"""Exercise 5.7: Decode by expanding the cache (difficulty 3, 5 minutes)

Hint 1: Split the buffer into latents and rotary keys, expand the latents, then attend as before, with one query per
sequence.

Hint 2: scores: einsum("bhd,blhd->bhl", q_nope, k_nope) + einsum("bhd,bld->bhl", q_rope, k_rope);
ops.masked_softmax(scores * scale, lengths).

Why: A causal mask is not needed, all entries are in the past; but entries beyond a sequence's length are not its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_05.e04_expand import expand
from minikimi.model import ops

wrong = Wrongs()


def decode_expanded(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    """One new token per sequence, keys and values expanded from the first `lengths` cache entries: (B, H, d_v)."""
    heads, nope, rope = *q_nope.shape[1:], q_rope.shape[-1]
    latent, k_rope = buffer.split([buffer.shape[-1] - rope, rope], dim=-1)
    k_nope, v = expand(latent, weight, heads, nope)  # (B, L, H, nope), (B, L, H, d_v)
    scores = torch.einsum("bhd,blhd->bhl", q_nope, k_nope) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
    weights = ops.masked_softmax(scores.float() * (nope + rope) ** -0.5, lengths).to(v.dtype)
    return torch.einsum("bhl,blhd->bhd", weights, v)


def _expanded(q_nope, q_rope, buffer, lengths, weight, scale: float, softmax=ops.masked_softmax) -> Tensor:
    heads, nope, rope = *q_nope.shape[1:], q_rope.shape[-1]
    latent, k_rope = buffer.split([buffer.shape[-1] - rope, rope], dim=-1)
    k_nope, v = expand(latent, weight, heads, nope)
    scores = torch.einsum("bhd,blhd->bhl", q_nope, k_nope) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
    return torch.einsum("bhl,blhd->bhd", softmax(scores.float() * scale, lengths).to(v.dtype), v)


def decode_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Lengths differ and the rest of the buffer holds old numbers; as many tokens as heads in the second case; keys as
    # wide as values and a latent wider than both, so that halves can be swapped and scales mixed up without an error.
    shapes = [(2, 12, 3, 4, 2, 9), (3, 5, 5, 4, 6, 10)]
    return [
        (
            numbers(seed, b, h, nope, dtype=dtype),
            numbers(seed + 1, b, h, rope, dtype=dtype),
            numbers(seed + 2, b, length, rank + rope, dtype=dtype),
            torch.tensor([3 + i for i in range(b)], dtype=torch.int32),
            numbers(seed + 3, h * 2 * nope, rank, dtype=dtype, size=0.4),
        )
        for b, length, h, nope, rope, rank in shapes
    ]


@wrong(
    "stale entries read",
    "Entries from lengths[b] on are leftovers or zeros; use ops.masked_softmax(scores, lengths).",
)
def decode_unmasked(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    return decode_expanded(q_nope, q_rope, buffer, torch.full_like(lengths, buffer.shape[1]), weight)


@wrong("scores set to zero", "A score of 0 still gets weight exp(0) = 1. Masked scores must be minus infinity.")
def decode_scores_zeroed(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    def zeroed(scores: Tensor, lengths: Tensor) -> Tensor:
        inside = torch.arange(scores.shape[-1]) < lengths[:, None]
        return (scores * inside[:, None]).softmax(dim=-1)

    return _expanded(q_nope, q_rope, buffer, lengths, weight, (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5, zeroed)


@wrong("scale of the first part only", "The same scale as in training: (nope + rope)^-1/2.")
def decode_narrow_scale(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    return _expanded(q_nope, q_rope, buffer, lengths, weight, q_nope.shape[-1] ** -0.5)


@wrong("the new token left out", "`lengths` counts the new token already, and a token sees itself.")
def decode_blind_to_itself(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    return decode_expanded(q_nope, q_rope, buffer, lengths - 1, weight)


EXERCISE = Exercise(**words(__doc__), solution=decode_expanded, cases=decode_cases, dtypes=BOTH, wrong=wrong)
