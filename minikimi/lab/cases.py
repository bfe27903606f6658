"""Makers of numbers and modules for the cases of all exercises: always the same, whatever was drawn before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

BOTH = (torch.float32, torch.bfloat16)  # for exercises in which precision matters


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32, size: float = 1.0) -> Tensor:
    """Normal random numbers of a shape, times `size`; drawn in float32, so that every dtype sees the same ones."""
    return (size * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))).to(dtype)


def filled(make: Callable[..., nn.Module], *args: Any, dtype: torch.dtype = torch.float32) -> Any:
    """A module with weights that depend on their place only; norms are not 1 and biases are not 0."""
    with torch.random.fork_rng(devices=[]):  # building draws random numbers: leave the lesson's alone
        module = make(*args)
    with torch.no_grad():
        for i, (_, parameter) in enumerate(sorted(module.named_parameters())):
            parameter.copy_(numbers(100 + i, *parameter.shape) * max(parameter.shape[-1], 4) ** -0.5)
    return module.to(dtype).eval()
