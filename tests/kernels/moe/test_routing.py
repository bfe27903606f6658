"""Routing metadata against torch's own sort and counts (lesson 06)."""

import itertools

import pytest
import torch
from minikimi_kernels.moe.routing import route


def random_choices(num_tokens: int, num_experts: int, top_k: int, device: torch.device) -> torch.Tensor:
    """Distinct experts per token; only the first three quarters are ever chosen, so there are empty experts."""
    generator = torch.Generator().manual_seed(num_tokens)
    used = max(top_k, num_experts * 3 // 4)
    return torch.stack([torch.randperm(used, generator=generator)[:top_k] for _ in range(num_tokens)]).to(device)


# 37 x 3 fits in one block of slots; 300 x 2 needs three, so blocks must know of each other's counts; 300 experts make
# the scan's chunk 16 blocks, and 900 x 6 slots are 22 blocks: the running sum must survive from chunk to chunk.
SIZES = [(37, 5, 3, 16), (300, 8, 2, 64), (900, 300, 6, 16), (1, 64, 6, 16), (130, 2, 1, 128)]


@pytest.mark.parametrize(("num_tokens", "num_experts", "top_k", "block_m"), SIZES)
def test_sorted_rows_equal_a_stable_sort(num_tokens, num_experts, top_k, block_m, device):
    topk_idx = random_choices(num_tokens, num_experts, top_k, device)
    plan = route(topk_idx, num_experts, block_m)
    flat = topk_idx.flatten()
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=num_experts)
    assert plan.offsets.tolist() == [0, *counts.cumsum(0).tolist()]
    assert torch.equal(plan.slot_of_row.long(), order)
    assert torch.equal(plan.token_of_row.long(), order // top_k)
    assert torch.equal(plan.row_of_slot.long(), order.argsort())


@pytest.mark.parametrize(("num_tokens", "num_experts", "top_k", "block_m"), SIZES)
def test_tiles_cover_every_row_once_and_never_mix_experts(num_tokens, num_experts, top_k, block_m, device):
    plan = route(random_choices(num_tokens, num_experts, top_k, device), num_experts, block_m)
    offsets, covered = plan.offsets.tolist(), []
    for expert, row in zip(plan.tile_expert.tolist(), plan.tile_row.tolist(), strict=True):
        if expert >= 0:
            assert offsets[expert] <= row < offsets[expert + 1]
            covered += range(row, min(row + block_m, offsets[expert + 1]))
    assert covered == list(range(num_tokens * top_k))
    used = sum(-(-(end - begin) // block_m) for begin, end in itertools.pairwise(offsets))
    surplus = plan.tile_expert.tolist()[used:]
    assert set(surplus) <= {-1}


def test_the_tile_bound_is_reached_when_every_expert_has_one_row_too_many(device):
    # 3 experts with 17 rows each need 6 tiles of 16; the bound 51 // 16 + 3 = 6 leaves nothing to spare.
    topk_idx = (torch.arange(51, device=device) % 3)[:, None]
    assert (route(topk_idx, 3, 16).tile_expert >= 0).all()


def test_strided_and_int32_choices_and_no_tokens(device):
    topk_idx = random_choices(20, 6, 4, device)
    expected = route(topk_idx[:, :2].contiguous(), 6, 16)
    for other in (topk_idx[:, :2], topk_idx[:, :2].int()):
        plan = route(other, 6, 16)
        assert all(torch.equal(a, b) for a, b in zip(plan[:-1], expected[:-1], strict=True))
    empty = route(topk_idx[:0], 6, 16)
    assert empty.offsets.tolist() == [0] * 7
    assert empty.tile_expert.numel() == 0
