"""NaViT packing: images of any size become one sequence of 14 x 14 patches (lesson 01).

Patches of all images lie one after another; `cu_seqlens` says where each image starts. Nothing is padded or resized,
and attention looks only inside one image. Text is packed by the same bounds (lesson 07). Source: NaViT (arXiv
2307.06304) as used by Kimi-VL (arXiv 2504.07491, section 2.1).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from einops import rearrange
from torch import Tensor


def patchify(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    """Cut an image (C, H, W) into patches (h*w, C, p, p) in raster order; also return the grid (h, w).

    Raises `ValueError` if a side is not a multiple of `patch_size`.
    """
    _, height, width = image.shape
    if height % patch_size or width % patch_size:
        raise ValueError(
            f"image of {width}x{height} pixels: both sides must be multiples of {patch_size}; pad it first"
        )
    patches = rearrange(image, "c (h y) (w x) -> (h w) c y x", y=patch_size, x=patch_size)
    return patches, (height // patch_size, width // patch_size)


def unpatchify(patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    """The inverse of `patchify`: (h*w, C, p, p) and (h, w) to the image (C, h*p, w*p)."""
    h, w = grid_hw
    return rearrange(patches, "(h w) c y x -> c (h y) (w x)", h=h, w=w)


def pack_images(images: Iterable[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
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


def segment_positions(cu_seqlens: Tensor) -> Tensor:
    """Positions (T,) int64 within each segment of the bounds (S + 1,): 0, 1, 2, ... from every segment's start."""
    starts = cu_seqlens[:-1].long().repeat_interleave(cu_seqlens.diff())
    return torch.arange(len(starts), device=cu_seqlens.device) - starts
