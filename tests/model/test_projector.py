"""The 2 x 2 merge and the two-layer MLP behind it."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import tiny_config

from minikimi.model.projector import Projector, merge_order, merge_patches

sides = st.integers(1, 6)


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


def test_the_norm_sees_single_patches_and_the_gelu_is_exact() -> None:
    """Written out in float64; a norm of the joined vector, or the tanh form of the GELU, differs by more."""
    torch.manual_seed(0)
    projector = Projector(tiny_config()).double()
    torch.nn.init.normal_(projector.pre_norm.weight)
    blocks = torch.randn(3, 4, 48, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.2, 3.0])[:, None]
    centred = blocks - blocks.mean(-1, keepdim=True)
    normed = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
    joined = torch.cat([normed[:, i] * projector.pre_norm.weight for i in range(4)], dim=-1)
    hidden = joined @ projector.linear_1.weight.T + projector.linear_1.bias
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    expected = hidden @ projector.linear_2.weight.T + projector.linear_2.bias
    torch.testing.assert_close(projector(blocks), expected, atol=1e-12, rtol=1e-12)
