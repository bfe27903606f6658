"""Positions: rotary embeddings in one and two dimensions, and the interpolated absolute table (lesson 02).

* A rotary embedding turns each pair of *adjacent* channels (x_0, x_1), (x_2, x_3), ... by an angle that grows with
  the position, so that a dot product of two rotated vectors depends only on their distance. (Llama code pairs channel
  i with i + d/2 instead: with the same weights that is another function.)
* Text has one position per token; a patch has two, its column and its row, which take turns over the pairs: **column
  first**.
* MoonViT also adds a learned table, resized to each image's grid.

Sources: RoFormer (arXiv 2104.09864); Kimi-VL report (arXiv 2504.07491), section 2.1, and the released MoonViT code
for the order of pairs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

MAX_GRID_SIDE = 512  # the official 2-D table covers 512 x 512 patches


def inverse_frequencies(dim: int, theta: float, device: torch.device | str | None = None) -> Tensor:
    """Angles per position, theta^(-2i/dim) for i = 0 .. dim/2 - 1, float32 (dim/2,)."""
    return theta ** (-torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim)


def rotary_1d(positions: Tensor, dim: int, theta: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, dim/2), float32, for text positions (T,).

    The angle of pair i is `position * theta^(-2i/dim)`.
    """
    angles = positions.float()[:, None] * inverse_frequencies(dim, theta, positions.device)
    return angles.cos(), angles.sin()


def rotary_2d(grid_hws: Tensor, dim: int, theta: float = 10000.0) -> tuple[Tensor, Tensor]:
    """Cosines and sines (P, dim/2), float32, for the patches of images with grids (N, 2), each in raster order.

    With `f_i = theta^(-4i/dim)`, the angle of pair 2i is `column * f_i`, of pair 2i + 1 it is `row * f_i`. Raises
    `ValueError` if a grid side exceeds 512 patches.
    """
    if grid_hws.numel() and int(grid_hws.max()) > MAX_GRID_SIDE:
        raise ValueError(f"image grid {grid_hws.max().item()} patches wide: the position table ends at {MAX_GRID_SIDE}")
    frequencies = inverse_frequencies(dim // 2, theta, grid_hws.device)  # (dim/4,)
    rows, columns = patch_coordinates(grid_hws)
    angles = torch.stack([columns[:, None] * frequencies, rows[:, None] * frequencies], dim=-1).flatten(1)
    return angles.cos(), angles.sin()


def patch_coordinates(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column (P,) of every packed patch."""
    rows, columns = [], []
    for h, w in grid_hws.tolist():
        rows.append(torch.arange(h, device=grid_hws.device).repeat_interleave(w))
        columns.append(torch.arange(w, device=grid_hws.device).repeat(h))
    empty = grid_hws.new_zeros(0)
    return torch.cat(rows or [empty]), torch.cat(columns or [empty])


def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the adjacent channel pairs of x (T, H, d) by the angles of (T, d/2), in float32; returns x's dtype.

    The pair (a, b) becomes (a cos - b sin, a sin + b cos): multiplication by cos + i sin.
    """
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)  # (T, H, d/2) each
    cos, sin = cos[:, None], sin[:, None]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2).to(x.dtype)


def interpolate_table(table: Tensor, height: int, width: int) -> Tensor:
    """Resize a position table (H0, W0, D) to a grid: (height*width, D) in raster order.

    Bicubic, as in the released code.
    """
    if table.shape[:2] == (height, width):
        return rearrange(table, "h w d -> (h w) d")
    image = rearrange(table, "h w d -> 1 d h w")
    resized = F.interpolate(image, size=(height, width), mode="bicubic", align_corners=False)
    return rearrange(resized, "1 d h w -> (h w) d")
