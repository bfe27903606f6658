"""Lesson 01: the cases that answers are tried on, the properties they must have, and common wrong answers."""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Misfit
from minikimi.model.config import VisionConfig
from minikimi.model.patches import cumulative_lengths, image_cu_seqlens, pack_images, patchify, unpatchify


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


# 1.1 ------------------------------------------------------------------------------------------------------------------
def patch_of_pixel(y: int, x: int, width: int, patch_size: int) -> tuple[int, int, int]:
    """Index of the patch that holds pixel (y, x), and the pixel's row and column inside it."""
    index = (y // patch_size) * (width // patch_size) + x // patch_size
    return index, y % patch_size, x % patch_size


def pixel_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Never on the diagonal, and never in the first row of patches: there all the wrong formulas agree.
    return [(20, 45, 84, 14), (3, 4, 6 + 2 * seed, 2), (29, 57 + seed, 98, 14)]


def pixel_swapped(y: int, x: int, width: int, patch_size: int) -> tuple[int, int, int]:
    return patch_of_pixel(x, y, width, patch_size)


def width_in_pixels(y: int, x: int, width: int, patch_size: int) -> tuple[int, int, int]:
    return (y // patch_size) * width + x // patch_size, y % patch_size, x % patch_size


def memory_order(y: int, x: int, width: int, patch_size: int) -> tuple[int, int, int]:
    place, area = y * width + x, patch_size**2
    return place // area, place % area // patch_size, place % patch_size


# 1.2 and 1.3 ----------------------------------------------------------------------------------------------------------
def patchify_loop(image: Tensor, patch_size: int) -> Tensor:
    """Cut an image (C, H, W) into patches (h*w, C, p, p), one slice at a time."""
    _, height, width = image.shape
    patches = []
    for y in range(0, height, patch_size):
        for x in range(0, width, patch_size):
            patches.append(image[:, y : y + patch_size, x : x + patch_size])
    return torch.stack(patches)


def loop_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Not square in patches, and p differs from C: an exchanged pair of axes cannot stay unseen.
    return [(numbers(seed, 3, 4, 6, dtype=dtype), 2), (numbers(seed + 9, 2, 9, 3, dtype=dtype), 3)]


def patchify_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return loop_cases(seed, dtype)


def loop_columns(image: Tensor, patch_size: int) -> Tensor:
    p = patch_size
    _, height, width = image.shape
    return torch.stack([image[:, y : y + p, x : x + p] for x in range(0, width, p) for y in range(0, height, p)])


def loop_overlapping(image: Tensor, patch_size: int) -> Tensor:
    p = patch_size
    _, height, width = image.shape
    return torch.stack([image[:, y : y + p, x : x + p] for y in range(height - p + 1) for x in range(width - p + 1)])


def loop_in_memory_order(image: Tensor, patch_size: int) -> Tensor:
    return image.reshape(-1, image.shape[0], patch_size, patch_size)


def loop_channels_last(image: Tensor, patch_size: int) -> Tensor:
    return patchify_loop(image, patch_size).permute(0, 2, 3, 1).contiguous()


def only_reshaped(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    _, (h, w) = patchify(image, patch_size)
    return image.reshape(h * w, image.shape[0], patch_size, patch_size), (h, w)


def column_by_column(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    patches, (h, w) = patchify(image, patch_size)
    return patches.unflatten(0, (h, w)).transpose(0, 1).flatten(0, 1), (h, w)


def mirrored_patches(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    patches, grid = patchify(image, patch_size)
    return patches.transpose(-1, -2), grid


def grid_swapped(image: Tensor, patch_size: int = 14) -> tuple[Tensor, tuple[int, int]]:
    patches, (h, w) = patchify(image, patch_size)
    return patches, (w, h)


# 1.4 ------------------------------------------------------------------------------------------------------------------
def unpatchify_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(numbers(seed, 6, 3, 2, 2, dtype=dtype), (2, 3)), (numbers(seed + 9, 4, 2, 3, 3, dtype=dtype), (4, 1))]


def back_by_reshape(patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    h, w = grid_hw
    _, channels, p, _ = patches.shape
    return patches.reshape(channels, h * p, w * p)


def back_with_sides_swapped(patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    return unpatchify(patches, (grid_hw[1], grid_hw[0]))


def back_without_rows(patches: Tensor, grid_hw: tuple[int, int]) -> Tensor:
    h, w = grid_hw
    _, channels, p, _ = patches.shape
    return patches.view(h, w, channels, p, p).permute(2, 0, 1, 3, 4).reshape(channels, h * p, w * p)


def there_and_back(run, patches: Tensor, grid_hw: tuple[int, int]) -> None:
    p = patches.shape[-1]
    image = run(patches, grid_hw)
    expected = (patches.shape[1], grid_hw[0] * p, grid_hw[1] * p)
    if tuple(image.shape) != expected:
        raise Misfit(f"a grid of {grid_hw[0]} x {grid_hw[1]} patches is an image of shape {expected}, not yours")
    again, _ = patchify(image, p)
    moved = int((again != patches).flatten(1).any(dim=1).sum())
    if moved:
        raise Misfit(f"cutting your image up again does not give the patches back: {moved} of {len(patches)} differ")


# 1.5 ------------------------------------------------------------------------------------------------------------------
def images_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    sizes = [(4, 6), (2, 8), (6, 2 + 2 * seed)]
    images = [numbers(seed + i, 3, *size, dtype=dtype) for i, size in enumerate(sizes)]
    return [(images, 2), (images[::-1][:2], 2)]


def grids_in_pixels(images: list[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    patches, grids = pack_images(images, patch_size)
    return patches, grids * patch_size


def grids_swapped(images: list[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    patches, grids = pack_images(images, patch_size)
    return patches, grids.flip(1)


def grids_as_counts(images: list[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    patches, grids = pack_images(images, patch_size)
    return patches, grids.prod(dim=1)


def cut_to_the_shortest(images: list[Tensor], patch_size: int = 14) -> tuple[Tensor, Tensor]:
    pairs = [patchify(image, patch_size) for image in images]
    shortest = min(len(patches) for patches, _ in pairs)
    return torch.stack([patches[:shortest] for patches, _ in pairs]), torch.tensor([grid for _, grid in pairs])


# 1.6 and 1.7 ----------------------------------------------------------------------------------------------------------
def length_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([4, 6, 2 + seed]),), (torch.tensor([5]),)]


def without_zero(lengths: Tensor) -> Tensor:
    return cumulative_lengths(lengths)[1:]


def starts_only(lengths: Tensor) -> Tensor:
    return cumulative_lengths(lengths)[:-1]


def as_int64(lengths: Tensor) -> Tensor:
    return cumulative_lengths(lengths).long()


def inclusive_ends(lengths: Tensor) -> Tensor:
    bounds = cumulative_lengths(lengths)
    return torch.cat([bounds[:1], bounds[1:] - 1])


def grids_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[4, 6], [2, 10 + 2 * seed], [6, 2]]),), (torch.tensor([[2, 6]]),)]


def sides_added(grid_hws: Tensor) -> Tensor:
    return cumulative_lengths(grid_hws.sum(dim=1))


def after_the_merge(grid_hws: Tensor) -> Tensor:
    return cumulative_lengths(grid_hws.prod(dim=1) // 4)


def rows_as_segments(grid_hws: Tensor) -> Tensor:
    return cumulative_lengths(grid_hws[:, 1].repeat_interleave(grid_hws[:, 0]))


def one_long_image(grid_hws: Tensor) -> Tensor:
    return image_cu_seqlens(grid_hws)[[0, -1]]


# 1.8 ------------------------------------------------------------------------------------------------------------------
def same_image_mask(cu_seqlens: Tensor) -> Tensor:
    """Bounds (N + 1,) to (P, P) bool: True where query (row) and key (column) belong to the same image."""
    image = torch.arange(len(cu_seqlens) - 1).repeat_interleave(cu_seqlens.diff())
    return image[:, None] == image[None]


def bound_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Different lengths, one of them a single patch: bounds taken one too early or too late show.
    return [
        (torch.tensor([0, 2, 5, 6 + seed], dtype=torch.int32),),
        (torch.tensor([0, 4, 6, 7, 10], dtype=torch.int32),),
    ]


def causal_mask(cu_seqlens: Tensor) -> Tensor:
    return same_image_mask(cu_seqlens).tril()


def forbidden_mask(cu_seqlens: Tensor) -> Tensor:
    return ~same_image_mask(cu_seqlens)


def equal_lengths_mask(cu_seqlens: Tensor) -> Tensor:
    image = torch.arange(int(cu_seqlens[-1])) // int(cu_seqlens[1])
    return image[:, None] == image[None]


def one_too_late_mask(cu_seqlens: Tensor) -> Tensor:
    image = torch.bucketize(torch.arange(int(cu_seqlens[-1]), dtype=torch.int32), cu_seqlens)
    return image[:, None] == image[None]


def every_patch_sees_itself(run, cu_seqlens: Tensor) -> None:
    mask, p = run(cu_seqlens), int(cu_seqlens[-1])
    if tuple(mask.shape) != (p, p):
        raise Misfit(f"{p} patches need a mask of {p} x {p}, yours has shape {tuple(mask.shape)}")
    if not bool(mask.diagonal().all()):
        raise Misfit(f"every patch may look at itself, but in your mask {int((~mask.diagonal()).sum())} of {p} may not")


# 1.9 ------------------------------------------------------------------------------------------------------------------
def masked_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q, k, v (P, d) and mask (P, P), True where allowed, to (P, d)."""
    scores = q @ k.T * q.shape[-1] ** -0.5
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v


def attention_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    lengths = [(3, 4, 2), (5, 1, 2 + seed)]
    masks = [same_image_mask(cumulative_lengths(torch.tensor(n))) for n in lengths]
    tensors = [[numbers(10 * seed + i, len(mask), 6, dtype=dtype) for i in range(3)] for mask in masks]
    return [(*qkv, mask) for qkv, mask in zip(tensors, masks, strict=True)]


def no_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T * q.shape[-1] ** -0.5).softmax(dim=-1) @ v


def added_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T * q.shape[-1] ** -0.5 + mask.to(q.dtype)).softmax(dim=-1) @ v


def without_scale(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T).masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v


def over_queries(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T * q.shape[-1] ** -0.5).masked_fill(~mask, float("-inf")).softmax(dim=0) @ v


def scores_times_mask(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return (q @ k.T * q.shape[-1] ** -0.5 * mask).softmax(dim=-1) @ v


def mask_after_softmax(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return ((q @ k.T * q.shape[-1] ** -0.5).softmax(dim=-1) * mask) @ v


def images_do_not_meet(run, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> None:
    foreign = ~mask[0]
    before = run(q, k, v, mask)[0].float()
    after = run(q, k + 2 * foreign[:, None].to(k.dtype), v - 3 * foreign[:, None].to(v.dtype), mask)[0].float()
    moved = float((after - before).abs().max())
    if not moved < 1e-3:
        raise Misfit(f"other images were repainted, and the answer of the first patch of all moved by {moved:.2f}")


def answers_are_averages(run, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> None:
    total = float(run(q, k, torch.ones_like(v), mask).float().mean())
    if abs(total - 1) > 0.02:
        raise Misfit(f"attention is a weighted mean: where every value is 1, the answer is 1, but yours is {total:.2f}")


# 1.10 -----------------------------------------------------------------------------------------------------------------
def padding_share(grid_hws: Tensor) -> float:
    """Share of a padded batch (N, longest) that is padding."""
    lengths = grid_hws.prod(dim=1)
    return 1 - float(lengths.sum()) / (len(lengths) * int(lengths.max()))


def share_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[4, 6], [2, 10 + 2 * seed], [6, 2]]),), (torch.tensor([[16, 4], [2, 2]]),)]


def real_share(grid_hws: Tensor) -> float:
    return 1 - padding_share(grid_hws)


def longest_sides(grid_hws: Tensor) -> float:
    return 1 - float(grid_hws.prod(dim=1).sum()) / (len(grid_hws) * int(grid_hws.amax(dim=0).prod()))


def padding_to_real(grid_hws: Tensor) -> float:
    lengths = grid_hws.prod(dim=1)
    return len(lengths) * int(lengths.max()) / float(lengths.sum()) - 1


# 1.11 -----------------------------------------------------------------------------------------------------------------
def layer_flops(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    """FLOPs of one MoonViT layer on packed images: (all matrices, attention between patches)."""
    lengths, d, m = grid_hws.prod(dim=1), vision.hidden_size, vision.intermediate_size
    matrices = 2 * int(lengths.sum()) * (4 * d * d + 2 * d * m)  # wqkv 3 D², wo D², fc0 and fc1 D M each
    attention = 2 * 2 * d * int(lengths.square().sum())  # scores and weighted values, each over all heads
    return matrices, attention


def flops_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    small = VisionConfig(hidden_size=64, intermediate_size=200, num_attention_heads=4)
    grids = torch.tensor([[4, 6], [2, 10 + 2 * seed], [6, 2]])
    return [(grids, VisionConfig()), (grids, small), (torch.tensor([[64, 64]]), VisionConfig())]


def one_flop_each(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    matrices, attention = layer_flops(grid_hws, vision)
    return matrices // 2, attention // 2


def all_pairs(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    total = int(grid_hws.prod(dim=1).sum())
    return layer_flops(grid_hws, vision)[0], 4 * vision.hidden_size * total**2


def heads_multiply(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    matrices, attention = layer_flops(grid_hws, vision)
    return matrices, attention * vision.num_attention_heads


def scores_only(grid_hws: Tensor, vision: VisionConfig) -> tuple[int, int]:
    matrices, attention = layer_flops(grid_hws, vision)
    return matrices, attention // 2
