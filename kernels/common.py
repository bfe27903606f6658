"""What every kernel file shares: the interpreter flag, the card, and the error measure of tests and benchmarks (lesson
16).
"""

import functools
import os
from typing import NamedTuple

import torch

INTERPRET = os.environ.get("TRITON_INTERPRET") == "1"
"""True when Triton runs its kernels in Python on the CPU. There, `tl.dot` of bf16 operands returns garbage without
an error and a cast to bf16 truncates, so kernels take this flag as a constexpr and upcast where it matters."""


class Card(NamedTuple):
    """What a launch must know of the GPU."""

    multiprocessors: int
    capability: int  # compute capability, 90 for Hopper

    @property
    def has_large_shared_memory(self) -> bool:
        """Whether the 227 KiB of data-center Hopper and Blackwell are there; other cards have 99 or 163."""
        return self.capability // 10 in (9, 10)


@functools.cache
def card(device: torch.device) -> Card:
    """The GPU of a tensor. The interpreter has two multiprocessors: programs of a persistent grid take turns."""
    if INTERPRET:
        return Card(multiprocessors=2, capability=90)
    properties = torch.cuda.get_device_properties(device)
    return Card(properties.multi_processor_count, 10 * properties.major + properties.minor)


def relative_error(out: torch.Tensor, reference: torch.Tensor) -> float:
    """||out - reference|| / ||reference|| in float64 (the plain norm of `out` when the reference is all zero).

    float32 arithmetic lands far below 1e-3, tf32 near 3e-4, bf16 operands between 1e-3 and 1e-2; NaN stays NaN.
    """
    reference = reference.detach().to(torch.float64)
    difference = (out.detach().to(torch.float64) - reference).norm().item()
    scale = reference.norm().item()
    return difference / scale if scale > 0 else difference
