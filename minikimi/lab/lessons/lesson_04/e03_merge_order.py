"""Exercise 4.3: The order of all patches (difficulty 3, 7 minutes)

Hint 1: View a picture's running numbers as (block row, row inside, block column, column inside); then bring the two
inner axes to the end.

Hint 2: rearrange(index, "(h kh w kw) -> (h w kh kw)", h=h // kh, kh=kh, kw=kw), with index = torch.arange(start, start
+ h * w, device=...); then start += h * w.

Why: The pattern names four axes that were hidden in two and sorts them: the whole of pixel shuffle is one permutation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.model.projector import merge_order

wrong = Wrongs()


def order_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Not square, and several pictures; 4 x 6 is not its own inverse; a kernel that is not square either.
    return [
        (torch.tensor([[4, 6]]), (2, 2)),
        (torch.tensor([[2, 6], [6, 4 + 2 * seed], [2, 2]]), (2, 2)),
        (torch.tensor([[6, 4]]), (3, 2)),
    ]


def _order(axes: tuple[int, int, int, int], swapped: bool = False, offsets: bool = True):
    def answer(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
        (kh, kw), orders, start = kernel, [], 0
        for h, w in grid_hws.tolist():
            h, w = (w, h) if swapped and (w % kh, h % kw) == (0, 0) else (h, w)
            index = torch.arange(start, start + h * w)
            orders.append(index.view(h // kh, kh, w // kw, kw).permute(axes).flatten())
            start += h * w if offsets else 0
        return torch.cat(orders)

    return answer


def each_patch_once(run, grid_hws: Tensor, kernel: tuple[int, int]) -> None:
    order = run(grid_hws, kernel)
    patches = int(grid_hws.prod(dim=1).sum())
    if order.shape == (patches,) and not torch.equal(order.sort().values, torch.arange(patches)):
        raise Misfit(f"each of the {patches} patches must come exactly once; yours lists {len(order.unique())} of them")


wrong.add(
    "nothing reordered", "You list the patches as they lie. Swap the two axes in the middle.", _order((0, 1, 2, 3))
)
wrong.add(
    "places down the column first",
    "Inside a block the column runs fastest: the last axis must be the column inside.",
    _order((0, 2, 3, 1)),
)
wrong.add(
    "blocks column by column",
    "Blocks are in raster order too: the block row is the first axis, the block column the second.",
    _order((2, 0, 1, 3)),
)
wrong.add(
    "every picture from patch 0",
    "Pictures lie one after another: move `start` on by h * w after each.",
    _order((0, 2, 1, 3), offsets=False),
)
wrong.add("height and width swapped", "A grid is (h, w): h rows of w patches each.", _order((0, 2, 1, 3), swapped=True))

EXERCISE = Exercise(
    **words(__doc__), solution=merge_order, cases=order_cases, properties=(each_patch_once,), wrong=wrong
)
