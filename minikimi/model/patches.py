"""NaViT packing: images of any size become one sequence of 14 x 14 patches (lesson 01).

Patches of all images lie one after another; `cu_seqlens` says where each image starts. Nothing is padded or resized,
and attention looks only inside one image. Source: NaViT (arXiv 2307.06304) as used by Kimi-VL (arXiv 2504.07491,
section 2.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def patchify(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    """Cut an image (C, H, W) into patches (h*w, C, p, p) in raster order; also return the grid (h, w).

    Raises `ValueError` if a side is not a multiple of `patch_size`.
    """
    channels, height, width = image.shape
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"image of {width}x{height} pixels: both sides must be multiples of {patch_size}; pad it first"
        )
    h, w = height // patch_size, width // patch_size
    grid = image.reshape(channels, h, patch_size, w, patch_size)
    return grid.permute(1, 3, 0, 2, 4).reshape(h * w, channels, patch_size, patch_size), (h, w)


def unpatchify(patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """The inverse of `patchify`: (h*w, C, p, p) and (h, w) to the image (C, h*p, w*p)."""
    h, w = grid_hw
    _, channels, p, _ = patches.shape
    return patches.view(h, w, channels, p, p).permute(2, 0, 3, 1, 4).reshape(channels, h * p, w * p)


def pack_images(images: Sequence[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    """Pack images (C, H_i, W_i) into patches (P, C, p, p) and their grids (N, 2) of (h, w) in patches."""
    pairs = [patchify(image, patch_size) for image in images]
    patches = torch.cat([patches for patches, _ in pairs])
    return patches, torch.tensor([grid for _, grid in pairs], dtype=torch.int64)


def cumulative_lengths(lengths: Tensor) -> Tensor:
    """Segment bounds (S + 1,) int32 of lengths (S,): 0, l_0, l_0 + l_1, ... Segment s is `x[cu[s]:cu[s + 1]]`."""
    zero = torch.zeros(1, dtype=torch.int32, device=lengths.device)
    return torch.cat([zero, lengths.cumsum(0, dtype=torch.int32)])


def image_cu_seqlens(grid_hws: Tensor) -> Tensor:
    """Bounds (N + 1,) of the images in the packed patches, from their grids (N, 2)."""
    return cumulative_lengths(grid_hws.prod(dim=1))
