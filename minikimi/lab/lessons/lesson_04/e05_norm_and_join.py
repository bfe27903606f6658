"""Exercise 4.5: Norm first, then join (difficulty 2, 4 minutes)

Hint 1: The norm's width is D, the last axis of the blocks; only afterwards the four patches are joined.

Hint 2: F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-5).flatten(1).

Why: Each patch is brought to the same size before the first matrix sees it, whatever its neighbours are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def norm_and_join(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Blocks (M, 4, D) to (M, 4 D): LayerNorm with eps 1e-5 on every patch, then the four side by side."""
    return F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-5).flatten(1)


def norm_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Patches of very different size in one block, some so small that eps shows; mean, weight and bias not trivial.
    sizes = torch.tensor([0.003, 0.03, 1.0, 4.0])[:, None]
    weight, bias = 1 + 0.3 * numbers(seed + 1, 6), 0.2 * numbers(seed + 2, 6)
    return [
        ((sizes * (numbers(seed, 3, 4, 6) + 0.5)).to(dtype), weight.to(dtype), bias.to(dtype)),
        ((0.004 * numbers(seed + 3, 5, 4, 6)).to(dtype), weight.to(dtype), bias.to(dtype)),
    ]


@wrong(
    "joined before the norm",
    "A norm over 4 D numbers lets one loud patch make its three neighbours quiet. Norm each patch.",
)
def norm_after_joining(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    joined = blocks.flatten(1)
    places = blocks.shape[1]
    return F.layer_norm(joined, joined.shape[-1:], weight.repeat(places), bias.repeat(places), eps=1e-5)


@wrong("eps 1e-6", "The projector's LayerNorm has eps 1e-5, as those of MoonViT.")
def norm_eps_6(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-6).flatten(1)


@wrong("RMSNorm", "The language model uses RMSNorm; here it is LayerNorm, which also removes the mean.")
def norm_is_rms(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    normed = blocks.float() * torch.rsqrt(blocks.float().square().mean(-1, keepdim=True) + 1e-5)
    return (normed.to(blocks.dtype) * weight + bias).flatten(1)


@wrong("channels before places", "Join patch after patch: flatten (M, 4, D) as it is, without a transpose.")
def norm_channels_outside(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-5).transpose(1, 2).flatten(1)


EXERCISE = Exercise(**words(__doc__), solution=norm_and_join, cases=norm_cases, dtypes=BOTH, wrong=wrong)
