"""RMSNorm: divide by the root mean square, then scale (lesson 05).

Source: arXiv 1910.07467; eps as in the released Kimi-VL code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from minikimi.model import ops


class RMSNorm(nn.Module):
    """Normalise the last dimension in float32, cast back to the input's dtype, then multiply by the weight.

    The order matters in bf16.
    """

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def reset_parameters(self) -> None:
        nn.init.ones_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return ops.rms_norm(x, self.weight, self.eps)
