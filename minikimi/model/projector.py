"""From patches to words: 2 x 2 pixel shuffle and a two-layer MLP (lesson 04).

Four neighbouring patches become one vector of four times the width, so an image costs a quarter of the tokens. The
norm works on single patches, *before* they are joined; the GELU is the exact (erf) one. Source: Kimi-VL report (arXiv
2504.07491), section 2.1.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from minikimi.model.config import KimiVLConfig


def merge_order(grid_hws: Tensor, kernel: tuple[int, int] = (2, 2)) -> Tensor:
    """Where each patch goes: indices (P,) that list the packed patches block by block.

    Inside a block of 2 x 2 they come in the order (0,0), (0,1), (1,0), (1,1). Raises `ValueError` if a grid side is not
    a multiple of the kernel.
    """
    kh, kw = kernel
    orders, start = [grid_hws.new_zeros(0)], 0
    for h, w in grid_hws.tolist():
        if h % kh or w % kw:
            raise ValueError(f"image grid {h}x{w}: both sides must be multiples of {kh}x{kw}; pad the image first")
        index = torch.arange(start, start + h * w, device=grid_hws.device)
        orders.append(rearrange(index, "(h kh w kw) -> (h w kh kw)", h=h // kh, kh=kh, kw=kw))
        start += h * w
    return torch.cat(orders)


def merge_patches(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int] = (2, 2)) -> Tensor:
    """Group packed patches (P, D) in blocks: (P / 4, 4, D) for a 2 x 2 kernel."""
    kh, kw = kernel
    return rearrange(x[merge_order(grid_hws, kernel).to(x.device)], "(m k) d -> m k d", k=kh * kw)


class Projector(nn.Module):
    """Blocks of patches (M, 4, D_vision) to vectors in the language model's space (M, D_text)."""

    def __init__(self, config: KimiVLConfig) -> None:
        super().__init__()
        width = config.vision_config.hidden_size
        kh, kw = config.vision_config.merge_kernel_size
        self.pre_norm = nn.LayerNorm(width, eps=1e-5)
        self.linear_1 = nn.Linear(width * kh * kw, width * kh * kw)
        self.linear_2 = nn.Linear(width * kh * kw, config.text_config.hidden_size)

    def forward(self, blocks: Tensor) -> Tensor:
        joined = rearrange(self.pre_norm(blocks), "m k d -> m (k d)")
        return self.linear_2(F.gelu(self.linear_1(joined)))
