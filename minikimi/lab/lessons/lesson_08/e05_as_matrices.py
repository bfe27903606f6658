"""Exercise 8.5: What is one matrix? (difficulty 3, 4 minutes)

Hint 1: A convolution kernel first becomes (A, in kh kw). Then cut each matrix's rows into row_blocks pieces.

Hint 2: if t.ndim == 4: t = t.flatten(1); return t.reshape(-1, t.size(-2) // row_blocks, t.size(-1)).

Why: Orthogonalising makes all directions of *one linear map* alike. Experts, gate and up, query and key are separate
maps that only share memory.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.optim.muon import as_matrices

wrong = Wrongs()


def tensor_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # A plain matrix, a stack whose matrices are gate over up, a fused query-key-value projection, a patch convolution.
    kinds = (((4, 3), 1), ((3, 4, 5), 2), ((6, 2), 3), ((4, 3, 2, 2), 1))
    return [(numbers(seed, *shape, dtype=dtype), row_blocks) for shape, row_blocks in kinds]


@wrong(
    "experts as one matrix",
    "Each expert is a map of its own; stacked into one tall matrix they would compete for directions.",
)
def experts_in_one(t: Tensor, row_blocks: int = 1) -> Tensor:
    return t.reshape(1, -1, t.size(-1)) if t.ndim == 3 else as_matrices(t, row_blocks)


@wrong(
    "row blocks ignored",
    "gate over up, or query over key over value, are several matrices one below the other: split rows.",
)
def blocks_ignored(t: Tensor, row_blocks: int = 1) -> Tensor:
    return as_matrices(t, 1)


@wrong(
    "a matrix for each pixel of the kernel",
    "A patch convolution multiplies a flattened patch: one matrix (A, in * kh * kw).",
)
def kernel_pixels_as_matrices(t: Tensor, row_blocks: int = 1) -> Tensor:
    return t.reshape(-1, t.size(-2), t.size(-1)) if t.ndim == 4 else as_matrices(t, row_blocks)


@wrong("rows dealt out in turn", "Block 0 is the first rows, block 1 the next ones: they lie together, not in turns.")
def blocks_of_columns(t: Tensor, row_blocks: int = 1) -> Tensor:
    t = t.flatten(1) if t.ndim == 4 else t
    return t.reshape(-1, t.size(-2) // row_blocks, row_blocks, t.size(-1)).transpose(1, 2).flatten(0, 1)


EXERCISE = Exercise(**words(__doc__), solution=as_matrices, cases=tensor_cases, dtypes=BOTH, wrong=wrong)
