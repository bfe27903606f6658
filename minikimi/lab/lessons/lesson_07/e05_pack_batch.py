"""Exercise 7.5: From a padded batch to a pack (difficulty 3, 5 minutes)

Hint 1: keep (B, T) is True at real tokens. input_ids[keep] reads them row by row; keep.sum(dim=1) are the lengths. A
position is a place in the pack, less the place where its sequence starts.

Hint 2: cu_seqlens = cumulative_lengths(keep.sum(dim=1)); cu_seqlens[:-1].long().repeat_interleave(cu_seqlens.diff())
says for every token where its sequence starts: take it from arange.

Why: Without padding there is nothing to mask: the pack runs through the same code as training does, and padding costs
no arithmetic.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.model.kimi_vl import Packed, pack_batch

wrong = Wrongs()


def batch_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Padded on the left (generation) and on the right (some training code); then packed already.
    ids = torch.arange(15).reshape(3, 5) + 40 * seed
    left = torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 1]], dtype=torch.bool)
    bounds = torch.tensor([0, 2, 2 + seed + 1, 9], dtype=torch.int32)
    return [(ids, left, None, None), (ids, left.flip(1), None, None), (torch.arange(9), None, None, bounds)]


def run_pack(answer, *case):
    packed = answer(*case)
    return packed.input_ids, packed.positions, packed.cu_seqlens, packed.max_seqlen


def starts_at_zero(run, ids: Tensor, keep: Tensor | None, position_ids: Tensor | None, bounds: Tensor | None) -> None:
    input_ids, positions, cu_seqlens, _ = run(ids, keep, position_ids, bounds)
    real = len(ids) if keep is None else int(keep.sum())
    if len(input_ids) != real:
        raise Misfit(f"there are {real} real tokens, but you pack {len(input_ids)}")
    if len(cu_seqlens) < 2 or int(cu_seqlens[0]) != 0 or int(cu_seqlens[-1]) != real:
        raise Misfit(f"the bounds must begin with 0 and end with {real}; yours are {cu_seqlens.tolist()}")
    for s, start in enumerate(cu_seqlens[:-1].tolist()):
        if int(positions[start]) != 0:
            raise Misfit(f"the first real token of sequence {s} must stand at position 0, yours at {positions[start]}")


def _changed_pack(**change):
    def answer(
        input_ids: Tensor, keep: Tensor | None, position_ids: Tensor | None, cu_seqlens: Tensor | None
    ) -> Packed:
        packed = pack_batch(input_ids, keep, position_ids, cu_seqlens)
        if keep is None:
            return packed
        return replace(packed, **{name: make(packed, input_ids, keep) for name, make in change.items()})

    return answer


@wrong("padding packed as well", "Padding takes no part: take input_ids[keep], and lengths from keep.sum(dim=1).")
def padding_kept(ids: Tensor, keep: Tensor | None, position_ids: Tensor | None, cu_seqlens: Tensor | None) -> Packed:
    return pack_batch(ids, None if keep is None else torch.ones_like(keep), position_ids, cu_seqlens)


wrong.add(
    "padding counts in the positions",
    "arange over the padded row gives the first real token a position "
    "behind its padding. Count in the pack, where there is none.",
    _changed_pack(positions=lambda p, ids, keep: torch.arange(ids.shape[1]).expand_as(ids)[keep]),
)
wrong.add(
    "positions run on",
    "Positions start at 0 again in every sequence; yours count through the whole pack. Attention would not "
    "notice (only distances matter to it), but the cache stores every token at its position.",
    _changed_pack(positions=lambda p, ids, keep: torch.arange(len(p.positions))),
)
wrong.add(
    "counted from one",
    "The first real token stands at position 0, not at 1.",
    _changed_pack(positions=lambda p, ids, keep: p.positions + 1),
)
wrong.add(
    "bounds without the leading 0",
    "S sequences have S + 1 bounds, the first is 0: cumulative_lengths(lengths) puts it there.",
    _changed_pack(cu_seqlens=lambda p, ids, keep: p.cu_seqlens[1:]),
)

EXERCISE = Exercise(
    **words(__doc__), solution=pack_batch, cases=batch_cases, run=run_pack, properties=(starts_at_zero,), wrong=wrong
)
