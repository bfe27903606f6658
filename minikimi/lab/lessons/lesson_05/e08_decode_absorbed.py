"""Exercise 5.8: Decode without expanding (difficulty 4, 7 minutes)

Hint 1: q . (W c) = (W^T q) . c: move the query into the latent space, attend to latents there, and move the result out
with the value half.

Hint 2: w_key, w_value = weight.unflatten(0, (H, -1)) split along axis 1; q_latent = einsum("bhd,hdr->bhr", q_nope,
w_key); at the end einsum("bhr,hdr->bhd").

Why: The same sum with its brackets set differently: the small side (one query) passes through the matrix, not the long
side (the whole cache).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from minikimi.lab.cases import BOTH
from minikimi.lab.exercise import Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_05.e07_decode_expanded import decode_cases, decode_expanded
from minikimi.model import ops

wrong = Wrongs()


def decode_absorbed(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    """As `decode_expanded`, but the query goes into the latent space and the answer comes back from it."""
    heads, nope, rope = *q_nope.shape[1:], q_rope.shape[-1]
    latent, k_rope = buffer.split([buffer.shape[-1] - rope, rope], dim=-1)
    per_head = weight.unflatten(0, (heads, -1))  # (H, nope + d_v, R)
    w_key, w_value = per_head[:, :nope], per_head[:, nope:]
    q_latent = torch.einsum("bhd,hdr->bhr", q_nope, w_key)
    scores = torch.einsum("bhr,blr->bhl", q_latent, latent) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
    weights = ops.masked_softmax(scores.float() * (nope + rope) ** -0.5, lengths).to(latent.dtype)
    out_latent = torch.einsum("bhl,blr->bhr", weights, latent)
    return torch.einsum("bhr,hdr->bhd", out_latent, w_value)


def _absorbed(q_nope, q_rope, buffer, lengths, weight, scale: float, swapped: bool = False) -> Tensor:
    heads, nope, rope = *q_nope.shape[1:], q_rope.shape[-1]
    latent, k_rope = buffer.split([buffer.shape[-1] - rope, rope], dim=-1)
    per_head = weight.unflatten(0, (heads, -1))  # (H, nope + d_v, R)
    w_key, w_value = per_head[:, :nope], per_head[:, nope:]
    if swapped:
        w_key, w_value = w_value, w_key
    q_latent = torch.einsum("bhd,hdr->bhr", q_nope, w_key)
    scores = torch.einsum("bhr,blr->bhl", q_latent, latent) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
    weights = ops.masked_softmax(scores.float() * scale, lengths).to(latent.dtype)
    return torch.einsum("bhr,hdr->bhd", torch.einsum("bhl,blr->bhr", weights, latent), w_value)


@wrong(
    "scaled by the latent's width",
    "The scores are the same numbers as before, so the scale is too: (nope + rope)^-1/2, not (R + rope)^-1/2.",
)
def absorbed_latent_scale(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    return _absorbed(q_nope, q_rope, buffer, lengths, weight, buffer.shape[-1] ** -0.5)


@wrong(
    "key and value halves swapped",
    "The query goes in through the key half, the result comes out through the value half.",
)
def absorbed_halves_swapped(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
    return _absorbed(q_nope, q_rope, buffer, lengths, weight, scale, swapped=True)


@wrong("left in the latent space", "The weighted mean of latents has R numbers; w_value turns it into each head's d_v.")
def absorbed_left_in_latent(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    rank = weight.shape[1]
    w_key = weight.unflatten(0, (q_nope.shape[1], -1))[:, : q_nope.shape[-1]]
    q_latent = torch.einsum("bhd,hdr->bhr", q_nope, w_key)
    assert buffer.shape[-1] == rank + q_rope.shape[-1]
    return ops.mla_decode(q_latent, q_rope, buffer, lengths, (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5)


def never_expands(run, q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> None:
    """Count the multiplications: expanding every cached token costs more than all of absorbed decoding."""
    batch, length, _ = buffer.shape
    with FlopCounterMode(display=False) as counter:
        run(q_nope, q_rope, buffer, lengths, weight)
    if counter.get_total_flops() // 2 >= batch * length * weight.numel():
        raise Misfit(
            f"it takes {counter.get_total_flops() // 2:,} multiplications; making keys and values for "
            f"{batch * length} cached tokens takes {batch * length * weight.numel():,} of them. Absorbed decoding "
            "makes none"
        )


wrong.add(
    "keys and values expanded after all",
    "Right numbers, wrong bill: only the query and the result may meet the weight, never the cache.",
    decode_expanded,
)

properties = (never_expands,)
EXERCISE = Exercise(
    **words(__doc__), solution=decode_absorbed, cases=decode_cases, properties=properties, dtypes=BOTH, wrong=wrong
)
