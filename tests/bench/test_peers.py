"""What the bench compares with holds the same weights and gives the same features."""

import torch

from minikimi.bench import peers
from minikimi.bench.cases import random_images, small_model


def test_qkv_is_split_for_the_torch_muon() -> None:
    fused = torch.nn.Parameter(torch.arange(12.0).view(6, 2))
    fused.grad = -fused.detach()
    parts = peers.separate_matrices([fused], 3)
    assert [p.shape for p in parts] == [(2, 2)] * 3
    assert torch.equal(torch.cat(parts), fused)
    assert torch.equal(torch.cat([p.grad for p in parts]), fused.grad)


def test_a_padded_tower_gives_the_packed_features() -> None:
    tower = small_model("nano").vision_tower.eval()
    pixels, grids = random_images(tower, 3)
    with torch.no_grad():
        padded, packed = peers.padded_tower(tower, pixels, grids), tower.patches(pixels, grids)
    torch.testing.assert_close(padded, packed, atol=1e-4, rtol=1e-4)


def test_pairs_become_halves_within_each_head() -> None:
    rows = torch.arange(8).view(8, 1)  # two heads of four channels
    assert peers.halves_first(rows, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_padding_is_zero_and_nothing_is_lost() -> None:
    real = torch.tensor([[True, True, False], [True, False, False]])
    out = peers.pad(torch.tensor([[1.0], [2.0], [3.0]]), real)
    assert out.flatten().tolist() == [1, 2, 0, 3, 0, 0]
