"""Rotary embeddings in one and two dimensions, and the interpolated table."""

import math

import pytest
import torch
import torch.nn.functional as F

from minikimi.model.rope import (
    apply_rotary,
    interpolate_table,
    inverse_frequencies,
    patch_coordinates,
    rotary_1d,
    rotary_2d,
)


def test_two_dimensional_angles_by_hand() -> None:
    """Grid of 2 rows and 3 columns, width 8: f = (1, 10000^(-1/2)) = (1, 0.01); the patch at row 1, column 2 has angles
    (column, row, column/100, row/100) = (2, 1, 0.02, 0.01). Rows first would give (1, 2, ...)."""
    cos, sin = rotary_2d(torch.tensor([[2, 3]]), dim=8)
    assert cos.shape == (6, 4)
    angles = torch.atan2(sin, cos)
    torch.testing.assert_close(angles[5], torch.tensor([2.0, 1.0, 0.02, 0.01]))
    torch.testing.assert_close(angles[3], torch.tensor([0.0, 1.0, 0.0, 0.01]))  # row 1, column 0: raster order
    torch.testing.assert_close(angles[0], torch.zeros(4))


def test_adjacent_channels_are_the_pairs() -> None:
    """A quarter turn of the first pair takes (1, 2, 3, 4) to (-2, 1, 3, 4); half-split pairs would move channel 2
    instead."""
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    cos, sin = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    torch.testing.assert_close(apply_rotary(x, cos, sin), torch.tensor([[[-2.0, 1.0, 3.0, 4.0]]]))


def test_official_sizes() -> None:
    """Width 72: 18 frequencies f_i = 10000^(-4i/72), each for a column and a row."""
    cos, sin = rotary_2d(torch.tensor([[2, 2]]), dim=72)
    angles = torch.atan2(sin, cos)[3]  # row 1, column 1: every angle is f_i, twice
    expected = torch.tensor([10000 ** (-4 * i / 72) for i in range(18)]).repeat_interleave(2)
    torch.testing.assert_close(angles, expected)


def test_second_image_starts_at_zero_again() -> None:
    rows, columns = patch_coordinates(torch.tensor([[1, 2], [2, 1]]))
    assert rows.tolist() == [0, 0, 0, 1]
    assert columns.tolist() == [0, 1, 0, 0]


def test_text_rotation_is_complex_multiplication() -> None:
    """Against exp(i p theta^(-2i/d)) in float64, adjacent channels as real and imaginary part."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(5, 2, 16, generator=g)
    positions = torch.tensor([0, 1, 7, 100, 4000])
    theta = 800000.0
    angles = positions.double()[:, None] * torch.tensor([theta ** (-2 * i / 16) for i in range(8)], dtype=torch.float64)
    turned = (
        torch.view_as_complex(x.double().unflatten(-1, (-1, 2))) * torch.polar(torch.ones_like(angles), angles)[:, None]
    )
    expected = torch.view_as_real(turned).flatten(-2)
    measured = apply_rotary(x, *rotary_1d(positions, 16, theta))
    torch.testing.assert_close(measured.double(), expected, atol=1e-3, rtol=1e-3)  # float32 angles up to 4000
    torch.testing.assert_close(measured[:3].double(), expected[:3], atol=1e-5, rtol=1e-5)


def test_scores_depend_on_differences_only() -> None:
    """Two patches three columns and one row apart score the same wherever they lie; another difference scores
    differently."""
    g = torch.Generator().manual_seed(1)
    q, k = torch.randn(1, 24, generator=g), torch.randn(1, 24, generator=g)
    h, w = 9, 11
    cos, sin = rotary_2d(torch.tensor([[h, w]]), dim=24)
    rotated_q = apply_rotary(q.expand(h * w, 1, 24), cos, sin)[:, 0]
    rotated_k = apply_rotary(k.expand(h * w, 1, 24), cos, sin)[:, 0]
    scores = (rotated_q @ rotated_k.T).view(h, w, h, w)
    same = torch.stack([scores[r, c, r + 1, c + 3] for r in range(h - 1) for c in range(w - 3)])
    torch.testing.assert_close(same, same[:1].expand_as(same), atol=1e-5, rtol=1e-5)
    assert (scores[0, 0, 3, 1] - same[0]).abs() > 1e-2  # rows and columns are not interchangeable


def test_rotation_keeps_lengths_dtype_and_position_zero() -> None:
    x = torch.randn(4, 3, 8, generator=torch.Generator().manual_seed(2))
    cos, sin = rotary_1d(torch.arange(4), 8, 10000.0)
    turned = apply_rotary(x, cos, sin)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))
    assert torch.equal(turned[0], x[0])
    assert apply_rotary(x.bfloat16(), cos, sin).dtype == torch.bfloat16
    assert inverse_frequencies(8, 100.0).tolist() == pytest.approx([1.0, 100**-0.25, 0.1, 100**-0.75])


def test_grid_beyond_the_table() -> None:
    rotary_2d(torch.tensor([[512, 1]]), 8)
    with pytest.raises(ValueError, match="513"):
        rotary_2d(torch.tensor([[2, 2], [1, 513]]), 8)


def test_interpolation_to_the_same_size_is_the_identity() -> None:
    table = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(3))
    assert torch.equal(interpolate_table(table, 6, 4), table.view(24, 3))
    resized = F.interpolate(table.permute(2, 0, 1)[None], size=(6, 4), mode="bicubic", align_corners=False)
    assert torch.equal(resized[0].permute(1, 2, 0).reshape(24, 3), table.view(24, 3))  # so the short cut is exact


@pytest.mark.parametrize("size", [(2, 8), (9, 3), (12, 12), (6, 5)])
def test_interpolation_against_cubic_convolution(size: tuple[int, int]) -> None:
    """Against the textbook: 4 x 4 taps of the cubic kernel with a = -0.75, pixel centres at half, edges clamped, no
    antialias."""
    table = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    def kernel(t: float, a: float = -0.75) -> float:
        t = abs(t)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0

    def taps(n_in: int, n_out: int) -> torch.Tensor:
        weights = torch.zeros(n_out, n_in, dtype=torch.float64)
        for i in range(n_out):
            centre = (i + 0.5) * n_in / n_out - 0.5
            for j in range(math.floor(centre) - 1, math.floor(centre) + 3):
                weights[i, min(max(j, 0), n_in - 1)] += kernel(centre - j)
        return weights

    expected = torch.einsum("hi,wj,ijd->hwd", taps(6, size[0]), taps(4, size[1]), table).flatten(0, 1)
    torch.testing.assert_close(interpolate_table(table, *size), expected, atol=1e-6, rtol=1e-6)
