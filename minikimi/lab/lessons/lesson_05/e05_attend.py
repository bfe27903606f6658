"""Exercise 5.5: The training form (difficulty 3, 6 minutes)

Hint 1: A score is the sum of two dot products: k_nope has a head axis, k_rope has none. Scale by the full width of a
query.

Hint 2: einsum("thd,shd->hts", q_nope, k_nope) + einsum("thd,sd->hts", q_rope, k_rope); mask where s > t: ones(T,
T).triu(1).

Why: Adding two scores is the same as joining the vectors: the query is nope + rope wide, and so is the scale.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def attend(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    """Causal attention of one sequence: k_nope (T, H, nope), k_rope (T, d_rope) for all heads, v (T, H, d_v)."""
    scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
    scores = torch.einsum("thd,shd->hts", q_nope, k_nope) + torch.einsum("thd,sd->hts", q_rope, k_rope)
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    weights = (scores.float() * scale).masked_fill(future, -torch.inf).softmax(dim=-1).to(v.dtype)
    return torch.einsum("hts,shd->thd", weights, v)


def _attend(q_nope, q_rope, k_nope, k_rope, v, scale: float, diagonal: int) -> Tensor:
    scores = torch.einsum("thd,shd->hts", q_nope, k_nope) + torch.einsum("thd,sd->hts", q_rope, k_rope)
    future = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(diagonal)
    weights = (scores.float() * scale).masked_fill(future, -torch.inf).softmax(dim=-1).to(v.dtype)
    return torch.einsum("hts,shd->thd", weights, v)


def attend_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # T == H in the first case, so swapped axes keep the shapes; widths 4, 6 and 3, so each scale is another.
    shapes = [(4, 4, 4, 6, 3), (7, 2, 6, 2, 5)]
    return [
        (
            numbers(seed, t, h, nope, dtype=dtype),
            numbers(seed + 1, t, h, rope, dtype=dtype),
            numbers(seed + 2, t, h, nope, dtype=dtype),
            numbers(seed + 3, t, rope, dtype=dtype),
            numbers(seed + 4, t, h, v, dtype=dtype),
        )
        for t, h, nope, rope, v in shapes
    ]


@wrong(
    "scale of the first part only",
    "The query has nope + rope channels: at 16B the scale is 192^-1/2, not 128^-1/2.",
)
def attend_narrow_scale(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    return _attend(q_nope, q_rope, k_nope, k_rope, v, q_nope.shape[-1] ** -0.5, 1)


@wrong("no causal mask", "Token t may look at tokens 0 to t, not beyond: mask s > t.")
def attend_no_mask(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    return _attend(q_nope, q_rope, k_nope, k_rope, v, (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5, len(v))


@wrong("no position", "The rotary part's score is missing: add q_rope times k_rope.")
def attend_no_position(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    return attend(q_nope, 0 * q_rope, k_nope, k_rope, v)


@wrong("one query for all heads", "Only the rotary KEY is shared. Every head keeps a rotary query of its own.")
def attend_summed_heads(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    return attend(q_nope, q_rope.mean(1, keepdim=True).expand_as(q_rope), k_nope, k_rope, v)


def past_only(run, q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> None:
    changed = v.clone()
    changed[-1] += 1
    before, after = run(q_nope, q_rope, k_nope, k_rope, v), run(q_nope, q_rope, k_nope, k_rope, changed)
    if before.shape == v.shape and not torch.equal(before[:-1], after[:-1]):
        raise Misfit("changing the last token's value changes what earlier tokens receive: they see the future")


EXERCISE = Exercise(
    **words(__doc__), solution=attend, cases=attend_cases, properties=(past_only,), dtypes=BOTH, wrong=wrong
)
