"""Patches, packing, bounds and positions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.model.patches import (
    cumulative_lengths,
    image_cu_seqlens,
    pack_images,
    patchify,
    segment_positions,
    unpatchify,
)

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


@given(lengths=st.lists(st.integers(0, 5), max_size=6))
def test_positions_count_within_each_segment(lengths: list[int]) -> None:
    positions = segment_positions(cumulative_lengths(torch.tensor(lengths, dtype=torch.int64)))
    assert positions.tolist() == [i for length in lengths for i in range(length)] and positions.dtype == torch.int64
