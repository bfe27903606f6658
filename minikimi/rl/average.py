"""Averaging the weights of a model that thinks long and one that answers short (lesson 14).

No training at all: the mean of both parameter vectors often thinks shorter than the one and better than the other.
Source: Kimi k1.5 report (arXiv 2501.12599), section 2.4.
"""

from __future__ import annotations

import os

import torch

from minikimi.errors import UserError
from minikimi.model.kimi_vl import KimiVL


@torch.no_grad()
def average(long: str | os.PathLike, short: str | os.PathLike, weight: float = 0.5) -> KimiVL:
    """`weight` times the first model plus 1 - `weight` times the second, selection biases included.

    Raises `UserError` unless both have the same config and 0 <= weight <= 1.
    """
    if not 0 <= weight <= 1:
        raise UserError(f"weight {weight} of the first model must lie in [0, 1]")
    model, other = KimiVL.from_pretrained(long), KimiVL.from_pretrained(short)
    if model.config != other.config:
        raise UserError(f"{long} and {short} have different configs; only models of one shape can be averaged")
    theirs = other.state_dict()
    for name, tensor in model.state_dict().items():
        tensor.copy_(weight * tensor + (1 - weight) * theirs[name])
    return model
