"""Exercise 6.6: One product for each expert (difficulty 3, 6 minutes)

Hint 1: token, slot = (indices == e).nonzero(as_tuple=True) are the places where expert e was chosen.

Hint 2: Compute F.linear(x[token], ...) once for all of them, multiply by weights[token, slot, None], and
out.index_add_(0, token, ...).

Why: A product of many rows reads an expert's matrices once. Grouping by expert is what makes sparse layers fast; the
fast kernels sort instead of searching.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from minikimi.lab.exercise import Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_06.e05_experts_loop import expert_cases, experts_loop

wrong = Wrongs()


def experts_grouped(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    """Expert by expert, all of its tokens at once: (T, D) to (T, D)."""
    out = torch.zeros_like(x)
    for e in range(len(gate_up_proj)):
        token, slot = (indices == e).nonzero(as_tuple=True)
        gate, up = F.linear(x[token], gate_up_proj[e]).chunk(2, dim=-1)
        y = F.linear(F.silu(gate) * up, down_proj[e])
        out.index_add_(0, token, weights[token, slot, None] * y)
    return out


class Products(TorchDispatchMode):
    """Counts matrix products of any kind."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += any(name in str(func) for name in ("mm.", "addmm", "mv.", "aten.dot"))
        return func(*args, **(kwargs or {}))


def few_products(run, x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> None:
    with Products() as products:
        run(x, indices, weights, gate_up_proj, down_proj)
    if len(x) > 2 * len(gate_up_proj) and products.count > 3 * len(gate_up_proj):
        raise Misfit(
            f"it makes {products.count} matrix products for {len(x)} tokens and {len(gate_up_proj)} experts; two for "
            "each expert are enough"
        )


@wrong(
    "later experts overwrite earlier ones",
    "A token has K experts. out[token] = ... keeps the last one only: use index_add_.",
)
def overwritten(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    for e in range(len(gate_up_proj)):
        token, slot = (indices == e).nonzero(as_tuple=True)
        gate, up = F.linear(x[token], gate_up_proj[e]).chunk(2, dim=-1)
        out[token] = weights[token, slot, None] * F.linear(F.silu(gate) * up, down_proj[e])
    return out


@wrong(
    "the first slot's weight for all",
    "The weight stands where the expert was found: weights[token, slot], not weights[token, 0].",
)
def first_slots_weight(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    return experts_grouped(x, indices, weights[:, :1].expand_as(weights), gate_up_proj, down_proj)


@wrong("first choices only", "indices[:, 0] is one of K choices. Look for e in all columns of indices.")
def first_choice_only(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    return experts_grouped(x, indices[:, :1], weights[:, :1], gate_up_proj, down_proj)


wrong.add(
    "still token by token",
    "Right numbers, one token at a time. Turn the loops around: over experts, each with all its tokens.",
    experts_loop,
)

EXERCISE = Exercise(
    **words(__doc__), solution=experts_grouped, cases=expert_cases, properties=(few_products,), wrong=wrong
)
