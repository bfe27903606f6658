"""What every kernel file shares: the interpreter flag and the error measure of the tests and benchmarks (lesson 16)."""

import os

import torch

INTERPRET = os.environ.get("TRITON_INTERPRET") == "1"
"""True when Triton runs its kernels in Python on the CPU. There, `tl.dot` of bf16 operands returns garbage without
an error and a cast to bf16 truncates, so kernels take this flag as a constexpr and upcast where it matters."""


def relative_error(out: torch.Tensor, reference: torch.Tensor) -> float:
    """||out - reference|| / ||reference|| in float64 (the plain norm of `out` when the reference is all zero).

    float32 arithmetic lands far below 1e-3, tf32 near 3e-4, bf16 operands between 1e-3 and 1e-2; NaN stays NaN.
    """
    reference = reference.detach().to(torch.float64)
    difference = (out.detach().to(torch.float64) - reference).norm().item()
    scale = reference.norm().item()
    return difference / scale if scale > 0 else difference
