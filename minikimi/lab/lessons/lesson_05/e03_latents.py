"""Exercise 5.3: Make what is cached (difficulty 3, 5 minutes)

Hint 1: One matrix makes R + d_rope numbers: the latent first, the rotary key after it. Only the latent is normed, only
the key is turned.

Hint 2: F.linear(x, weight).split([rank, len(weight) - rank], dim=-1); apply_rotary wants a head axis: k_rope[:, None]
in, [:, 0] out.

Why: The norm is taken before caching and the key is turned before caching: both are done once per token, never again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_05.e02_rms_normalise import rms_normalise
from minikimi.model.rope import apply_rotary, rotary_1d

wrong = Wrongs()


def latents(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """x (T, D), weight (R + d_rope, D), gain (R,) to the normed latent (T, R) and the one turned key (T, d_rope)."""
    rank = len(gain)
    latent, k_rope = F.linear(x, weight).split([rank, len(weight) - rank], dim=-1)
    return rms_normalise(latent, gain, 1e-6), apply_rotary(k_rope[:, None], cos, sin)[:, 0]


def latent_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Small inputs, so that eps 1e-5 and 1e-6 differ; positions that do not start at 0; d_rope unlike R.
    cos, sin = rotary_1d(torch.arange(5) + 3 + seed, 4, 100.0)
    gain = 1 + numbers(seed + 2, 6, size=0.3, dtype=dtype)
    return [
        (numbers(seed, 5, 9, size=1e-3, dtype=dtype), numbers(seed + 1, 10, 9, dtype=dtype), gain, cos, sin),
        (numbers(seed + 3, 5, 9, dtype=dtype), numbers(seed + 4, 10, 9, dtype=dtype), gain, cos, sin),
    ]


@wrong("eps 1e-5", "Every other RMSNorm of the model has 1e-5, this one has 1e-6. Some ports get it wrong.")
def latents_eps_5(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    raw = F.linear(x, weight)[:, : len(gain)]
    return rms_normalise(raw, gain, 1e-5), latents(x, weight, gain, cos, sin)[1]


@wrong("latent not normed", "The latent passes through an RMSNorm with weight `gain` before it is cached.")
def latents_not_normed(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return F.linear(x, weight)[:, : len(gain)], latents(x, weight, gain, cos, sin)[1]


@wrong("key not turned", "The key carries the position: turn it with apply_rotary before it is cached.")
def latents_not_turned(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return latents(x, weight, gain, cos, sin)[0], F.linear(x, weight)[:, len(gain) :]


@wrong("key before latent", "The first R rows of the matrix make the latent, the last d_rope rows the key.")
def latents_key_first(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return latents(x, weight.roll(len(gain), 0), gain, cos, sin)


@wrong("key normed too", "The norm covers the R numbers of the latent; the rotary key goes without a norm.")
def latents_key_normed(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    latent, key = latents(x, weight, gain, cos, sin)
    return latent, rms_normalise(key, torch.ones_like(key[0]), 1e-6)


EXERCISE = Exercise(**words(__doc__), solution=latents, cases=latent_cases, dtypes=BOTH, wrong=wrong)
