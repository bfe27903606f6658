"""Routing metadata on the device: which rows belong to which expert, without asking the CPU (lessons 06 and 16).

Every token chooses K of E experts. A grouped GEMM wants the chosen rows of one expert side by side, so the T*K choices
("slots", slot = token * K + k) are sorted by expert with a counting sort of three steps:

    slots        e2 e0 | e2 e1 | e0 e2        two slots to a block here, 256 in the kernel
    1 histogram  count of every expert in every block
    2 scan       offsets[e]  = slots of all smaller experts           (where expert e begins)
                 base[b, e]  = offsets[e] + slots of e in blocks < b  (where block b puts its first slot of e)
    3 place      row = base[b, e] + number of earlier slots of e in the same block

The sort is stable, so a run is reproducible bit for bit. Nothing here reads a value back to the CPU: the number of
tiles depends on the routing, so it stays on the device (`num_tiles`), and the GEMMs start a fixed number of programs
that read how far to go. That keeps the whole layer capturable in a CUDA graph. The idea of grouping by expert:
MegaBlocks, arXiv 2211.15841.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

SLOTS_PER_BLOCK = 256


class RoutingPlan(NamedTuple):
    """Where every (token, expert choice) goes; R = T * K rows sorted by expert, all tensors int32.

    offsets: (E + 1,) rows of expert e are offsets[e] up to offsets[e + 1].
    token_of_row: (R,) which token row r reads.
    slot_of_row: (R,) which slot = token * K + k row r came from.
    row_of_slot: (R,) the inverse of slot_of_row.
    tile_expert: (max_tiles,) expert of every tile of `block_m` rows, -1 for tiles that do not exist.
    tile_row: (max_tiles,) first row of the tile. A tile never crosses from one expert to the next.
    num_tiles: (1,) how many tiles exist; known on the device only.
    block_m: rows in a tile.
    """

    offsets: torch.Tensor
    token_of_row: torch.Tensor
    slot_of_row: torch.Tensor
    row_of_slot: torch.Tensor
    tile_expert: torch.Tensor
    tile_row: torch.Tensor
    num_tiles: torch.Tensor
    block_m: int


@triton.jit
def _histogram_kernel(
    expert_of_slot, counts, num_slots, NUM_EXPERTS: tl.constexpr, E: tl.constexpr, BLOCK: tl.constexpr
):
    """counts[b, e] = slots of expert e in block b. E is NUM_EXPERTS rounded up to a power of two."""
    block = tl.program_id(0)
    slot = block * BLOCK + tl.arange(0, BLOCK)
    expert = tl.load(expert_of_slot + slot, mask=slot < num_slots, other=0).to(tl.int32)
    histogram = tl.histogram(expert, E, mask=slot < num_slots)
    experts = tl.arange(0, E)
    tl.store(counts + block * NUM_EXPERTS + experts, histogram, mask=experts < NUM_EXPERTS)


@triton.jit
def _scan_kernel(
    counts, plan, num_blocks, max_tiles,
    NUM_EXPERTS: tl.constexpr, E: tl.constexpr, BLOCK_M: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """One program: offsets from the counts, counts turned into bases in place, then the tile map."""
    experts = tl.arange(0, E)
    real = experts < NUM_EXPERTS
    total = tl.zeros([E], tl.int32)
    for first in range(0, num_blocks, CHUNK):
        total += tl.sum(_load_counts(counts, first, num_blocks, NUM_EXPERTS, E, CHUNK), axis=0)
    begin = tl.cumsum(total, axis=0) - total  # exclusive
    tl.store(plan.offsets + experts, begin, mask=real)
    tl.store(plan.offsets + NUM_EXPERTS, tl.sum(total, axis=0))

    running = begin
    for first in range(0, num_blocks, CHUNK):
        count = _load_counts(counts, first, num_blocks, NUM_EXPERTS, E, CHUNK)
        base = running[None, :] + tl.cumsum(count, axis=0) - count
        block = first + tl.arange(0, CHUNK)
        mask = (block < num_blocks)[:, None] & real[None, :]
        tl.store(counts + block[:, None] * NUM_EXPERTS + experts[None, :], base, mask=mask)
        running += tl.sum(count, axis=0)

    tiles = (total + BLOCK_M - 1) // BLOCK_M
    last_tile = tl.cumsum(tiles, axis=0)  # one past the last tile of every expert
    tl.store(plan.num_tiles, tl.sum(tiles, axis=0))
    for first in range(0, max_tiles, CHUNK):
        tile = first + tl.arange(0, CHUNK)
        # The tile's expert is the number of experts whose tiles all come earlier.
        expert = tl.sum(((last_tile[None, :] <= tile[:, None]) & real[None, :]).to(tl.int32), axis=1)
        mine = experts[None, :] == expert[:, None]
        row = tl.sum(tl.where(mine, (begin - (last_tile - tiles) * BLOCK_M)[None, :], 0), axis=1) + tile * BLOCK_M
        tl.store(plan.tile_expert + tile, tl.where(expert < NUM_EXPERTS, expert, -1), mask=tile < max_tiles)
        tl.store(plan.tile_row + tile, row, mask=tile < max_tiles)


@triton.jit
def _load_counts(counts, first, num_blocks, NUM_EXPERTS: tl.constexpr, E: tl.constexpr, CHUNK: tl.constexpr):
    block = first + tl.arange(0, CHUNK)
    experts = tl.arange(0, E)
    mask = (block < num_blocks)[:, None] & (experts < NUM_EXPERTS)[None, :]
    return tl.load(counts + block[:, None] * NUM_EXPERTS + experts[None, :], mask=mask, other=0)


@triton.jit
def _place_kernel(
    expert_of_slot, base, plan, num_slots,
    TOP_K: tl.constexpr, NUM_EXPERTS: tl.constexpr, E: tl.constexpr, BLOCK: tl.constexpr, STEP: tl.constexpr,
):  # fmt: skip
    """Give every slot of a block its row: base of its expert plus its rank among the block's slots of that expert."""
    block = tl.program_id(0)
    experts = tl.arange(0, E)
    running = tl.load(base + block * NUM_EXPERTS + experts, mask=experts < NUM_EXPERTS, other=0)
    for first in range(0, BLOCK, STEP):
        slot = block * BLOCK + first + tl.arange(0, STEP)
        expert = tl.load(expert_of_slot + slot, mask=slot < num_slots, other=-1).to(tl.int32)
        one_hot = (expert[:, None] == experts[None, :]).to(tl.int32)
        earlier = tl.cumsum(one_hot, axis=0) - one_hot
        row = tl.sum(one_hot * (running[None, :] + earlier), axis=1)
        tl.store(plan.row_of_slot + slot, row, mask=slot < num_slots)
        tl.store(plan.slot_of_row + row, slot, mask=slot < num_slots)
        tl.store(plan.token_of_row + row, slot // TOP_K, mask=slot < num_slots)
        running += tl.sum(one_hot, axis=0)


def route(topk_idx: torch.Tensor, num_experts: int, block_m: int) -> RoutingPlan:
    """Sort the expert choices by expert, on the device and without a host sync.

    Args:
        topk_idx: (T, K) integer expert ids in [0, num_experts); unchecked, since a check would wait for the GPU.
        num_experts: E.
        block_m: rows in a GEMM tile.

    Returns:
        The plan; `tile_expert` has min(R, R // block_m + E) entries, an upper bound on the number of tiles.
    """
    top_k, num_slots, device = topk_idx.shape[1], topk_idx.numel(), topk_idx.device
    num_blocks = triton.cdiv(num_slots, SLOTS_PER_BLOCK)
    max_tiles = min(num_slots, num_slots // block_m + num_experts)
    padded = triton.next_power_of_2(num_experts)

    def ints(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.int32, device=device)

    plan = RoutingPlan(
        offsets=ints(num_experts + 1), token_of_row=ints(num_slots), slot_of_row=ints(num_slots),
        row_of_slot=ints(num_slots), tile_expert=ints(max_tiles), tile_row=ints(max_tiles), num_tiles=ints(1),
        block_m=block_m,
    )  # fmt: skip
    expert_of_slot, counts = topk_idx.contiguous(), ints(num_blocks, num_experts)
    sizes = {"NUM_EXPERTS": num_experts, "E": padded}
    chunk = max(16, min(128, 8192 // padded))
    if num_blocks:
        _histogram_kernel[(num_blocks,)](expert_of_slot, counts, num_slots, **sizes, BLOCK=SLOTS_PER_BLOCK)
    _scan_kernel[(1,)](counts, plan, num_blocks, max_tiles, **sizes, BLOCK_M=block_m, CHUNK=chunk, num_warps=8)
    if num_blocks:
        _place_kernel[(num_blocks,)](
            expert_of_slot, counts, plan, num_slots, top_k, **sizes, BLOCK=SLOTS_PER_BLOCK, STEP=min(128, chunk)
        )
    return plan
