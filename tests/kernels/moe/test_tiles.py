"""Which tile a product gets."""

import torch
from minikimi_kernels.common import INTERPRET
from minikimi_kernels.moe import tiles
from minikimi_kernels.moe.tiles import TILES, choose_block_m, choose_tile, has_tma


def test_rows_of_a_tile_are_near_the_average_group(device):
    x = torch.empty(1, 64, device=device)
    assert [choose_block_m(rows, 64, x) for rows in (6, 64 * 20, 64 * 1000)] == [16, 32, 64]
    if INTERPRET:
        assert choose_block_m(64 * 1000, 64, x.bfloat16()) == 128


def test_large_tiles_need_large_shared_memory(monkeypatch, device):
    x = torch.empty(1, 64, device=device, dtype=torch.bfloat16)
    for large, expected in ((True, TILES["rows"]), (False, None)):
        card = type("Card", (), {"has_large_shared_memory": large})
        monkeypatch.setattr(tiles, "card", lambda device, card=card: card)
        tile = choose_tile("rows", 128, x)
        assert tile == expected if large else tile.rows <= 64
    assert choose_tile("rows", 128, x.float()).rows == 64


def test_the_copy_engine_needs_aligned_rows(device):
    if not INTERPRET:
        return
    assert has_tma(torch.empty(4, 8, device=device)) and not has_tma(torch.empty(4, 7, device=device))
