"""Exercise 6.5: A loop over tokens and experts (difficulty 2, 5 minutes)

Hint 1: gate_up_proj[e] is (2F, D): its first F rows make the gate, the other F the up part. silu is for the gate.

Hint 2: gate, up = (gate_up_proj[e] @ x[t]).chunk(2); out[t] += weight * (down_proj[e] @ (F.silu(gate) * up)).

Why: Weighting the output keeps the layer linear in the weights; weighting the input would bend it through silu.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words

wrong = Wrongs()


def experts_loop(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    """Token by token, expert by expert: (T, D) to (T, D)."""
    out = torch.zeros_like(x)
    for t in range(len(x)):
        for e, weight in zip(indices[t].tolist(), weights[t], strict=True):
            gate, up = (gate_up_proj[e] @ x[t]).chunk(2)
            out[t] += weight * (down_proj[e] @ (F.silu(gate) * up))
    return out


def expert_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    cases = []
    for tokens, experts, top_k, dim, hidden in ((5, 4, 2, 3, 2), (12, 3, 2, 4, 6)):
        chosen = numbers(seed + 3, tokens, experts).topk(top_k, dim=-1).indices
        weights = numbers(seed + 4, tokens, top_k).sigmoid()
        stacks = numbers(seed + 1, experts, 2 * hidden, dim), numbers(seed + 2, experts, dim, hidden)
        cases.append((numbers(seed, tokens, dim), chosen, weights, *stacks))
    return cases


@wrong("up rows first", "The stack holds the gate rows first, then the up rows; silu belongs to the gate.")
def up_first(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    up, gate = gate_up_proj.chunk(2, dim=1)
    return experts_loop(x, indices, weights, torch.cat([gate, up], dim=1), down_proj)


@wrong("weights forgotten", "Multiply each expert's output by the token's weight for it.")
def unweighted(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    return experts_loop(x, indices, torch.ones_like(weights), gate_up_proj, down_proj)


@wrong("slot number as expert", "k = 0, 1, ... counts the token's choices. The expert is indices[t, k].")
def slot_as_expert(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    slots = torch.arange(indices.shape[1]).expand_as(indices)
    return experts_loop(x, slots, weights, gate_up_proj, down_proj)


@wrong("input weighted", "An expert is not linear, so weight * expert(x) is not expert(weight * x). Weight the output.")
def weighted_input(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    for t in range(len(x)):
        for e, weight in zip(indices[t].tolist(), weights[t], strict=True):
            gate, up = (gate_up_proj[e] @ (weight * x[t])).chunk(2)
            out[t] += down_proj[e] @ (F.silu(gate) * up)
    return out


EXERCISE = Exercise(**words(__doc__), solution=experts_loop, cases=expert_cases, wrong=wrong)
