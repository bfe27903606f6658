"""Exercise 1.8: Who may look at whom? (difficulty 2, 4 minutes)

Hint 1: Give each patch the number of its image; two patches may meet when the numbers are equal.

Hint 2: image = arange(N).repeat_interleave(cu_seqlens.diff()); then image[:, None] == image[None].

Why: Square blocks on the diagonal. No triangle: a picture has no before and after, so nothing is causal.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def same_image_mask(cu_seqlens: Tensor) -> Tensor:
    """Bounds (N + 1,) to (P, P) bool: True where query (row) and key (column) belong to the same image."""
    image = torch.arange(len(cu_seqlens) - 1).repeat_interleave(cu_seqlens.diff())
    return image[:, None] == image[None]


def bound_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Different lengths, one of them a single patch: bounds taken one too early or too late show.
    return [
        (torch.tensor([0, 2, 5, 6 + seed], dtype=torch.int32),),
        (torch.tensor([0, 4, 6, 7, 10], dtype=torch.int32),),
    ]


@wrong("causal", "This is the mask of a language model. In an image each patch sees all patches, those after it too.")
def causal_mask(cu_seqlens: Tensor) -> Tensor:
    return same_image_mask(cu_seqlens).tril()


@wrong(
    "True where forbidden",
    "True means: may look. (Both conventions exist; torch's attention takes True as allowed.)",
)
def forbidden_mask(cu_seqlens: Tensor) -> Tensor:
    return ~same_image_mask(cu_seqlens)


@wrong(
    "all images as long as the first",
    "Images have different lengths; take them from cu_seqlens.diff(), not from cu_seqlens[1].",
)
def equal_lengths_mask(cu_seqlens: Tensor) -> Tensor:
    image = torch.arange(int(cu_seqlens[-1])) // int(cu_seqlens[1])
    return image[:, None] == image[None]


@wrong("bounds one too late", "The patch at cu_seqlens[s] is the first of image s, not the last of the one before.")
def one_too_late_mask(cu_seqlens: Tensor) -> Tensor:
    image = torch.bucketize(torch.arange(int(cu_seqlens[-1]), dtype=torch.int32), cu_seqlens)
    return image[:, None] == image[None]


def every_patch_sees_itself(run, cu_seqlens: Tensor) -> None:
    mask, p = run(cu_seqlens), int(cu_seqlens[-1])
    if tuple(mask.shape) != (p, p):
        raise Misfit(f"{p} patches need a mask of {p} x {p}, yours has shape {tuple(mask.shape)}")
    if not bool(mask.diagonal().all()):
        raise Misfit(f"every patch may look at itself, but in your mask {int((~mask.diagonal()).sum())} of {p} may not")


EXERCISE = Exercise(
    **words(__doc__), solution=same_image_mask, cases=bound_cases, properties=(every_patch_sees_itself,), wrong=wrong
)
