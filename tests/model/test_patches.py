"""Patches, packing and the 2 x 2 merge."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.model.patches import cumulative_lengths, image_cu_seqlens, pack_images, patchify, unpatchify
from minikimi.model.projector import merge_order, merge_patches

sides = st.integers(1, 6)


@settings(deadline=None, max_examples=40)
@given(h=sides, w=sides, p=st.integers(1, 4), channels=st.integers(1, 3))
def test_unpatchify_is_the_inverse(h: int, w: int, p: int, channels: int) -> None:
    image = torch.arange(channels * h * p * w * p, dtype=torch.float32).view(channels, h * p, w * p)
    patches, grid = patchify(image, p)
    assert grid == (h, w) and patches.shape == (h * w, channels, p, p)
    assert torch.equal(unpatchify(patches, grid), image)


def test_patchify_against_a_loop() -> None:
    image = torch.arange(2 * 6 * 9, dtype=torch.float64).view(2, 6, 9)
    loop = [image[:, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3] for i in range(2) for j in range(3)]
    assert torch.equal(patchify(image, 3)[0], torch.stack(loop))


def test_patches_come_in_raster_order() -> None:
    """A wide image, so that rows and columns cannot be confused: patch 1 is the one to the right of patch 0."""
    image = torch.arange(3 * 28 * 42, dtype=torch.float32).view(3, 28, 42)
    patches, grid = patchify(image)
    assert grid == (2, 3)
    assert torch.equal(patches[1], image[:, :14, 14:28])
    assert torch.equal(patches[3], image[:, 14:, :14])


def test_a_side_that_is_no_multiple() -> None:
    with pytest.raises(ValueError, match="42x29"):
        patchify(torch.zeros(3, 29, 42))


def test_packing_images_of_any_size() -> None:
    images = [torch.randn(3, 28, 56), torch.randn(3, 14, 14)]
    patches, grids = pack_images(images)
    assert grids.tolist() == [[2, 4], [1, 1]] and patches.shape == (9, 3, 14, 14)
    assert image_cu_seqlens(grids).tolist() == [0, 8, 9]
    assert torch.equal(patches[8], images[1])


def test_cumulative_lengths() -> None:
    bounds = cumulative_lengths(torch.tensor([3, 0, 2]))
    assert bounds.tolist() == [0, 3, 3, 5] and bounds.dtype == torch.int32
    assert cumulative_lengths(torch.tensor([], dtype=torch.int64)).tolist() == [0]


def test_merge_order_by_hand() -> None:
    """Grid 2 x 4, patches numbered 0..7 in raster order: blocks (0 1 4 5) and (2 3 6 7)."""
    assert merge_order(torch.tensor([[2, 4]])).tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


@settings(deadline=None, max_examples=40)
@given(grids=st.lists(st.tuples(sides, sides), min_size=1, max_size=4))
def test_merge_follows_the_view_permute_formula(grids: list[tuple[int, int]]) -> None:
    doubled = [(2 * h, 2 * w) for h, w in grids]
    x = torch.arange(sum(h * w for h, w in doubled) * 5, dtype=torch.float32).view(-1, 5)
    expected, start = [], 0
    for h, w in doubled:
        image = x[start : start + h * w].view(h // 2, 2, w // 2, 2, 5)
        expected.append(image.permute(0, 2, 1, 3, 4).reshape(h * w // 4, 4, 5))
        start += h * w
    assert torch.equal(merge_patches(x, torch.tensor(doubled)), torch.cat(expected))


def test_merge_is_not_pixel_unshuffle() -> None:
    """`F.pixel_unshuffle` puts the four patches of one channel side by side; the projector expects the channels of one
    patch together."""
    x = torch.randn(4 * 6, 5, generator=torch.Generator().manual_seed(0))
    merged = merge_patches(x, torch.tensor([[4, 6]])).flatten(1)
    unshuffled = F.pixel_unshuffle(x.view(4, 6, 5).permute(2, 0, 1), 2).permute(1, 2, 0).reshape(6, 20)
    assert not torch.allclose(merged, unshuffled)
    torch.testing.assert_close(merged.unflatten(1, (4, 5)).transpose(1, 2).flatten(1), unshuffled)


def test_odd_grid_is_named() -> None:
    with pytest.raises(ValueError, match="5x4"):
        merge_order(torch.tensor([[2, 2], [5, 4]]))
