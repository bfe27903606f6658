"""Lesson 05: the cases that answers are tried on, the properties they must have, and common wrong answers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from minikimi.lab.exercise import Case, Misfit
from minikimi.model import ops
from minikimi.model.config import TextConfig
from minikimi.model.rope import apply_rotary, rotary_1d


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32, size: float = 1.0) -> Tensor:
    return (size * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))).to(dtype)


# 5.1 ------------------------------------------------------------------------------------------------------------------
def attend_one(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """One query (d,) over the keys (L, d) and values (L, d_v) of one head: the weighted mean of the values, (d_v,)."""
    scores = [float(q @ key) * scale for key in keys]
    weights = torch.tensor(scores).softmax(dim=0)
    out = torch.zeros_like(values[0])
    for weight, value in zip(weights, values, strict=True):
        out += weight * value
    return out


def one_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # The scale is not d^-1/2 and keys and values differ in width, as in MLA.
    return [
        (numbers(seed, 6), numbers(seed + 1, 4, 6), numbers(seed + 2, 4, 3), 0.3),
        (numbers(seed + 3, 4), numbers(seed + 4, 7, 4), numbers(seed + 5, 7, 5), 0.7),
    ]


def one_unscaled(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    return attend_one(q, keys, values, 1.0)


def one_root(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    return attend_one(q, keys, values, len(q) ** -0.5)


def one_without_softmax(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    return (keys @ q * scale) @ values


def one_best(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    return values[(keys @ q).argmax()]


def stays_between(run, q: Tensor, keys: Tensor, values: Tensor, scale: float) -> None:
    out = run(q, keys, values, scale)
    if out.shape == values[0].shape and bool((out > values.amax(0) + 1e-4).any() | (out < values.amin(0) - 1e-4).any()):
        raise Misfit("a weighted mean lies between the smallest and the largest value; yours does not")


# 5.2 ------------------------------------------------------------------------------------------------------------------
def rms_normalise(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x (..., D) divided by its root mean square in float32, cast back to x's dtype, times weight (D,)."""
    normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


def norm_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Mean squares as small as eps, so that its place shows; a mean that is not 0; a weight that is not 1.
    weight = 1 + numbers(seed + 1, 8, size=0.3, dtype=dtype)
    return [
        (numbers(seed, 3, 8, size=3e-3, dtype=dtype) + 2e-3, weight, 1e-5),
        (numbers(seed + 2, 2, 3, 8, dtype=dtype) + 1, weight, 1e-6),
    ]


def eps_outside(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return (x.float() / (x.float().square().mean(-1, keepdim=True).sqrt() + eps)).to(x.dtype) * weight


def mean_removed(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return F.layer_norm(x.float(), x.shape[-1:], eps=eps).to(x.dtype) * weight


def sum_for_mean(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return (x.float() * torch.rsqrt(x.float().square().sum(-1, keepdim=True) + eps)).to(x.dtype) * weight


def weight_forgotten(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return rms_normalise(x, torch.ones_like(weight), eps)


# 5.3 ------------------------------------------------------------------------------------------------------------------
def latents(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """x (T, D), weight (R + d_rope, D), gain (R,) to the normed latent (T, R) and the one turned key (T, d_rope)."""
    rank = len(gain)
    latent, k_rope = F.linear(x, weight).split([rank, len(weight) - rank], dim=-1)
    return rms_normalise(latent, gain, 1e-6), apply_rotary(k_rope[:, None], cos, sin)[:, 0]


def latent_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Small inputs, so that eps 1e-5 and 1e-6 differ; positions that do not start at 0; d_rope unlike R.
    cos, sin = rotary_1d(torch.arange(5) + 3 + seed, 4, 100.0)
    gain = 1 + numbers(seed + 2, 6, size=0.3, dtype=dtype)
    return [
        (numbers(seed, 5, 9, size=1e-3, dtype=dtype), numbers(seed + 1, 10, 9, dtype=dtype), gain, cos, sin),
        (numbers(seed + 3, 5, 9, dtype=dtype), numbers(seed + 4, 10, 9, dtype=dtype), gain, cos, sin),
    ]


def latents_eps_5(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    raw = F.linear(x, weight)[:, : len(gain)]
    return rms_normalise(raw, gain, 1e-5), latents(x, weight, gain, cos, sin)[1]


def latents_not_normed(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return F.linear(x, weight)[:, : len(gain)], latents(x, weight, gain, cos, sin)[1]


def latents_not_turned(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return latents(x, weight, gain, cos, sin)[0], F.linear(x, weight)[:, len(gain) :]


def latents_key_first(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    return latents(x, weight.roll(len(gain), 0), gain, cos, sin)


def latents_key_normed(x: Tensor, weight: Tensor, gain: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    latent, key = latents(x, weight, gain, cos, sin)
    return latent, rms_normalise(key, torch.ones_like(key[0]), 1e-6)


# 5.4 ------------------------------------------------------------------------------------------------------------------
def expand(latent: Tensor, weight: Tensor, heads: int, nope: int) -> tuple[Tensor, Tensor]:
    """Latents (..., R) to keys without position (..., H, nope) and values (..., H, d_v)."""
    kv = F.linear(latent, weight).unflatten(-1, (heads, -1))
    k_nope, v = kv.split([nope, kv.shape[-1] - nope], dim=-1)
    return k_nope, v


def expand_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Keys and values of equal width in the second case: there every mistake keeps the shapes.
    return [
        (numbers(seed, 5, 6, dtype=dtype), numbers(seed + 1, 3 * 6, 6, dtype=dtype), 3, 4),
        (numbers(seed + 2, 2, 5, 6, dtype=dtype), numbers(seed + 3, 4 * 4, 6, dtype=dtype), 4, 2),
    ]


def keys_before_values(latent: Tensor, weight: Tensor, heads: int, nope: int) -> tuple[Tensor, Tensor]:
    kv = F.linear(latent, weight)
    return kv[..., : heads * nope].unflatten(-1, (heads, -1)), kv[..., heads * nope :].unflatten(-1, (heads, -1))


def values_first(latent: Tensor, weight: Tensor, heads: int, nope: int) -> tuple[Tensor, Tensor]:
    kv = F.linear(latent, weight).unflatten(-1, (heads, -1))
    v, k_nope = kv.split([kv.shape[-1] - nope, nope], dim=-1)
    return k_nope, v


def heads_innermost(latent: Tensor, weight: Tensor, heads: int, nope: int) -> tuple[Tensor, Tensor]:
    kv = F.linear(latent, weight).unflatten(-1, (-1, heads)).transpose(-1, -2)
    return kv[..., :nope], kv[..., nope:]


# 5.5 ------------------------------------------------------------------------------------------------------------------
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


def attend_narrow_scale(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    return _attend(q_nope, q_rope, k_nope, k_rope, v, q_nope.shape[-1] ** -0.5, 1)


def attend_no_mask(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    return _attend(q_nope, q_rope, k_nope, k_rope, v, (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5, len(v))


def attend_no_position(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    return attend(q_nope, 0 * q_rope, k_nope, k_rope, v)


def attend_summed_heads(q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> Tensor:
    return attend(q_nope, q_rope.mean(1, keepdim=True).expand_as(q_rope), k_nope, k_rope, v)


def past_only(run, q_nope: Tensor, q_rope: Tensor, k_nope: Tensor, k_rope: Tensor, v: Tensor) -> None:
    changed = v.clone()
    changed[-1] += 1
    before, after = run(q_nope, q_rope, k_nope, k_rope, v), run(q_nope, q_rope, k_nope, k_rope, changed)
    if before.shape == v.shape and not torch.equal(before[:-1], after[:-1]):
        raise Misfit("changing the last token's value changes what earlier tokens receive: they see the future")


# 5.6 ------------------------------------------------------------------------------------------------------------------
def put(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    """Write entries (B, W) into the buffer (B, capacity, W), sequence b's at place lengths[b]; returns the buffer."""
    buffer[torch.arange(len(entries)), lengths.long()] = entries
    return buffer


def put_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Sequences of different lengths, one of them empty; capacity to spare, so that an index too large is no error.
    return [
        (
            numbers(seed, 3, 7, 4, dtype=dtype),
            numbers(seed + 1, 3, 4, dtype=dtype),
            torch.tensor([2, 0, 4], dtype=torch.int32),
        ),
        (
            numbers(seed + 2, 2, 5, 3, dtype=dtype),
            numbers(seed + 3, 2, 3, dtype=dtype),
            torch.tensor([1, 3], dtype=torch.int32),
        ),
    ]


def run_put(answer, buffer: Tensor, entries: Tensor, lengths: Tensor):
    """What is returned, and what has become of the buffer that was given."""
    result = answer(buffer, entries, lengths)
    return None if result is None else (result, buffer)


def put_everywhere(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    buffer[:, lengths.long()] = entries
    return buffer


def put_at_longest(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    buffer[:, int(lengths.max())] = entries
    return buffer


def put_one_later(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    return put(buffer, entries, lengths + 1)


def put_one_earlier(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    return put(buffer, entries, lengths - 1)


def put_in_a_copy(buffer: Tensor, entries: Tensor, lengths: Tensor) -> Tensor:
    return put(buffer.clone(), entries, lengths)


# 5.7 and 5.8 ----------------------------------------------------------------------------------------------------------
def decode_expanded(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    """One new token per sequence, keys and values expanded from the first `lengths` cache entries: (B, H, d_v)."""
    heads, nope, rope = *q_nope.shape[1:], q_rope.shape[-1]
    latent, k_rope = buffer.split([buffer.shape[-1] - rope, rope], dim=-1)
    k_nope, v = expand(latent, weight, heads, nope)  # (B, L, H, nope), (B, L, H, d_v)
    scores = torch.einsum("bhd,blhd->bhl", q_nope, k_nope) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
    weights = ops.masked_softmax(scores.float() * (nope + rope) ** -0.5, lengths).to(v.dtype)
    return torch.einsum("bhl,blhd->bhd", weights, v)


def _expanded(q_nope, q_rope, buffer, lengths, weight, scale: float, softmax=ops.masked_softmax) -> Tensor:
    heads, nope, rope = *q_nope.shape[1:], q_rope.shape[-1]
    latent, k_rope = buffer.split([buffer.shape[-1] - rope, rope], dim=-1)
    k_nope, v = expand(latent, weight, heads, nope)
    scores = torch.einsum("bhd,blhd->bhl", q_nope, k_nope) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
    return torch.einsum("bhl,blhd->bhd", softmax(scores.float() * scale, lengths).to(v.dtype), v)


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


def decode_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Lengths differ and the rest of the buffer holds old numbers; as many tokens as heads in the second case; keys as
    # wide as values and a latent wider than both, so that halves can be swapped and scales mixed up without an error.
    shapes = [(2, 12, 3, 4, 2, 9), (3, 5, 5, 4, 6, 10)]
    return [
        (
            numbers(seed, b, h, nope, dtype=dtype),
            numbers(seed + 1, b, h, rope, dtype=dtype),
            numbers(seed + 2, b, length, rank + rope, dtype=dtype),
            torch.tensor([3 + i for i in range(b)], dtype=torch.int32),
            numbers(seed + 3, h * 2 * nope, rank, dtype=dtype, size=0.4),
        )
        for b, length, h, nope, rope, rank in shapes
    ]


def decode_unmasked(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    return decode_expanded(q_nope, q_rope, buffer, torch.full_like(lengths, buffer.shape[1]), weight)


def decode_scores_zeroed(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    def zeroed(scores: Tensor, lengths: Tensor) -> Tensor:
        inside = torch.arange(scores.shape[-1]) < lengths[:, None]
        return (scores * inside[:, None]).softmax(dim=-1)

    return _expanded(q_nope, q_rope, buffer, lengths, weight, (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5, zeroed)


def decode_narrow_scale(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    return _expanded(q_nope, q_rope, buffer, lengths, weight, q_nope.shape[-1] ** -0.5)


def decode_blind_to_itself(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    return decode_expanded(q_nope, q_rope, buffer, lengths - 1, weight)


def absorbed_latent_scale(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    return _absorbed(q_nope, q_rope, buffer, lengths, weight, buffer.shape[-1] ** -0.5)


def absorbed_halves_swapped(q_nope: Tensor, q_rope: Tensor, buffer: Tensor, lengths: Tensor, weight: Tensor) -> Tensor:
    scale = (q_nope.shape[-1] + q_rope.shape[-1]) ** -0.5
    return _absorbed(q_nope, q_rope, buffer, lengths, weight, scale, swapped=True)


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


# 5.9 ------------------------------------------------------------------------------------------------------------------
def cache_bytes(text: TextConfig, tokens: int) -> tuple[int, int]:
    """Bytes in bfloat16, over all layers, that `tokens` tokens take as full keys and values, and as latents."""
    full = text.num_attention_heads * (text.qk_head_dim + text.v_head_dim)
    latent = text.kv_lora_rank + text.qk_rope_head_dim
    per_number = 2 * text.num_hidden_layers * tokens
    return per_number * full, per_number * latent


def bytes_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    small = TextConfig(
        num_hidden_layers=3 + seed, num_attention_heads=5, kv_lora_rank=24, qk_rope_head_dim=6, v_head_dim=10
    )
    return [(TextConfig(), 1000 + seed), (small, 7)]


def bytes_key_per_head(text: TextConfig, tokens: int) -> tuple[int, int]:
    full, _ = cache_bytes(text, tokens)
    width = text.kv_lora_rank + text.num_attention_heads * text.qk_rope_head_dim
    return full, 2 * text.num_hidden_layers * tokens * width


def bytes_one_layer(text: TextConfig, tokens: int) -> tuple[int, int]:
    full, latent = cache_bytes(text, tokens)
    return full // text.num_hidden_layers, latent // text.num_hidden_layers


def bytes_keys_only(text: TextConfig, tokens: int) -> tuple[int, int]:
    _, latent = cache_bytes(text, tokens)
    return 2 * text.num_hidden_layers * tokens * text.num_attention_heads * text.qk_head_dim, latent


def bytes_latent_twice(text: TextConfig, tokens: int) -> tuple[int, int]:
    full, latent = cache_bytes(text, tokens)
    return full, latent + 2 * text.num_hidden_layers * tokens * text.kv_lora_rank
