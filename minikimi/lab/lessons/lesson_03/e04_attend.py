"""Exercise 3.4: All heads, within each image (difficulty 3, 6 minutes)

Hint 1: Split q, k, v along the patches by cu_seqlens.diff(); every piece is a small attention of its own.

Hint 2: torch.einsum("qhd,khd->hqk", q_s, k_s) * d ** -0.5, softmax over the last axis, then "hqk,khd->qhd".

Why: What is never computed needs no mask. A varlen kernel does the same for all images in one launch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model import ops
from minikimi.model.patches import cumulative_lengths

wrong = Wrongs()


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Attention of all heads within each image: q, k, v (P, H, d) and bounds (N + 1,) to (P, H, d)."""
    lengths, outputs = cu_seqlens.diff().tolist(), []
    for q_s, k_s, v_s in zip(q.split(lengths), k.split(lengths), v.split(lengths), strict=True):
        scores = torch.einsum("qhd,khd->hqk", q_s, k_s) * q.shape[-1] ** -0.5
        outputs.append(torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), v_s))
    return torch.cat(outputs)


def attend_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # As many heads as patches in one image: axes taken for each other go through without an error.
    cases = []
    for lengths, heads in (((3, 5), 3), ((4, 2, 2 + seed), 2)):
        q, k, v = (numbers(10 * seed + i, sum(lengths), heads, 6, dtype=dtype) for i in range(3))
        cases.append((q, k, v, cumulative_lengths(torch.tensor(lengths))))
    return cases


@wrong("across all images", "cu_seqlens is not used: images look at each other. Attend piece by piece.")
def attend_everywhere(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    return attend(q, k, v, cu_seqlens[[0, -1]])


@wrong(
    "heads attend to heads",
    "q @ k.mT on (P, H, d) compares the heads of one patch. Patches must meet: H is a batch axis.",
)
def attend_over_heads(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1) @ v


@wrong("scaled twice", "Scale by the width of a head, q.shape[-1] ** -0.5, not by the width of all heads together.")
def attend_scaled_by_width(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    return attend(q * q.shape[1] ** -0.5, k, v, cu_seqlens)


@wrong("causal", "Pictures have no before and after: no causal mask in MoonViT.")
def attend_causal(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    return ops.segment_attention(q, k, v, cu_seqlens, q.shape[-1] ** -0.5, causal=True)


@wrong(
    "mask added as 0 and 1",
    "Adding 1 where allowed still lets the others in. This is the leak of the released eager code.",
)
def attend_with_ones_added(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    image = torch.arange(len(cu_seqlens) - 1).repeat_interleave(cu_seqlens.diff())
    same = (image[:, None] == image[None]).to(q.dtype)
    scores = torch.einsum("qhd,khd->hqk", q, k) * q.shape[-1] ** -0.5 + same
    return torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), v)


EXERCISE = Exercise(**words(__doc__), solution=attend, cases=attend_cases, dtypes=BOTH, wrong=wrong)
