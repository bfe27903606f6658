"""The one seam between the model and its fast kernels.

Each function here is a plain torch reference, readable and used on CPU, and hands over to a Triton kernel of the same
meaning where that pays: on CUDA with Triton installed. `MINIKIMI_KERNELS=torch|triton` overrides the choice (on CPU,
`triton` means Triton's interpreter: set `TRITON_INTERPRET=1` too). Lesson 16 writes the kernels. The shape letters are
those of `minikimi/model/__init__.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from torch.utils.checkpoint import checkpoint

from minikimi.errors import UserError
from minikimi.model.rope import apply_rotary

LOSS_CHUNK = 2**28  # logits that exist at one time in `linear_cross_entropy`: 1,638 tokens of 163,840 classes
DECODE_TOKENS = 8  # up to so many tokens, experts are read one token at a time, without sorting


def kernel(module: str, name: str) -> Callable[..., Any]:
    """A kernel's entry point, loaded when first needed: importing minikimi does not import Triton."""
    return getattr(importlib.import_module(f"minikimi_kernels.{module}"), name)


def _lowered(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Under autocast, the tensors in its dtype, as torch's own matrix products would take them."""
    device = tensors[0].device.type
    if not torch.is_autocast_enabled(device):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(device)) for tensor in tensors)


def triton_chosen(x: Tensor) -> bool:
    """Whether x goes to the Triton kernels. Raises `UserError` for an unknown `MINIKIMI_KERNELS`."""
    choice = os.environ.get("MINIKIMI_KERNELS", "")
    if choice not in ("", "torch", "triton"):
        raise UserError(f"MINIKIMI_KERNELS={choice!r}: unknown; set it to torch or triton, or leave it unset")
    if choice:
        return choice == "triton"
    return x.is_cuda and importlib.util.find_spec("triton") is not None


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / rms(x) in float32, cast to x's dtype, times weight. x (..., D), weight (D,)."""
    if triton_chosen(x):
        return kernel("elementwise.rms_norm", "rms_norm")(x, weight, eps)
    if not torch.is_grad_enabled() and x.dtype == weight.dtype == torch.float32:  # the same in half the time
        return F.rms_norm(x, x.shape[-1:], weight, eps)
    normed = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) * up, both (..., F)."""
    if triton_chosen(gate):
        return kernel("elementwise.swiglu", "swiglu")(gate, up)
    return F.silu(gate) * up


def rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the adjacent channel pairs of x (T, H, d) by the angles of (T, d/2); see `model/rope.py`."""
    if triton_chosen(x):
        return kernel("elementwise.rotary", "rotary")(x, cos, sin)
    return apply_rotary(x, cos, sin)


def segment_attention(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, scale: float, causal: bool) -> Tensor:
    """Attention within each segment of a packed sequence.

    q, k (T, H, d), v (T, H, d_v), bounds (S + 1,) to (T, H, d_v).
    """
    lengths = cu_seqlens.diff().tolist()
    d_v = v.shape[-1]
    v = F.pad(v, (0, max(q.shape[-1] - d_v, 0)))  # the fused attention of torch needs one head width
    q, k, v = (rearrange(x, "t h d -> 1 h t d") for x in (q, k, v))
    outputs = [v[:, :, :0]]  # so that no segment at all gives an empty result
    for q_s, k_s, v_s in zip(*(x.split(lengths, dim=2) for x in (q, k, v)), strict=True):
        outputs.append(F.scaled_dot_product_attention(q_s, k_s, v_s, is_causal=causal, scale=scale))
    return rearrange(torch.cat(outputs, dim=2), "1 h t d -> t h d")[..., :d_v]


def vision_attention(qkv: Tensor, cos: Tensor, sin: Tensor, cu_seqlens: Tensor, max_seqlen: int) -> Tensor:
    """MoonViT's attention: turn q and k by the 2-D rotary tables (P, d/2), attend within each image.

    qkv (P, 3, H, d) to (P, H, d).
    """
    if triton_chosen(qkv):
        (qkv,) = _lowered(qkv)
        return kernel("vision.attention", "vision_attention")(qkv, cos, sin, cu_seqlens, max_seqlen)
    q, k, v = qkv.unbind(1)
    q, k = apply_rotary(q, cos, sin), apply_rotary(k, cos, sin)
    return segment_attention(q, k, v, cu_seqlens, q.shape[-1] ** -0.5, causal=False)


def mla_attention(
    q_nope: Tensor,
    q_rope: Tensor,
    k_nope: Tensor,
    k_rope: Tensor,
    v: Tensor,
    cu_seqlens: Tensor,
    max_seqlen: int,
    scale: float,
) -> Tensor:
    """Causal latent attention, training form.

    q_nope, k_nope (T, H, d_nope), q_rope (T, H, d_rope), k_rope (T, d_rope) shared by all heads, v (T, H, d_v) to
    (T, H, d_v).
    """
    if triton_chosen(q_nope):
        parts = _lowered(q_nope, q_rope, k_nope, k_rope, v)
        return kernel("attention.mla", "mla_attention")(*parts, cu_seqlens, max_seqlen, scale)
    q = torch.cat([q_nope, q_rope], dim=-1)
    k = torch.cat([k_nope, repeat(k_rope, "t d -> t h d", h=q.shape[1])], dim=-1)
    return segment_attention(q, k, v, cu_seqlens, scale, causal=True)


def later_attention(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Causal attention of a sequence's last T tokens to all of its L: q (T, H, d), k (L, H, d), v (L, H, d_v).

    To (T, H, d_v). Query t sees the keys up to L - T + t.
    """
    d_v = v.shape[-1]
    v = F.pad(v, (0, max(q.shape[-1] - d_v, 0)))  # the fused attention of torch needs one head width
    q, k, v = (rearrange(x, "t h d -> 1 h t d") for x in (q, k, v))
    mask = causal_lower_right(q.shape[2], k.shape[2])
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
    return rearrange(out, "1 h t d -> t h d")[..., :d_v]


def masked_softmax(scores: Tensor, lengths: Tensor) -> Tensor:
    """Softmax of (B, H, L) over the first `lengths` (B,) positions."""
    outside = torch.arange(scores.shape[-1], device=scores.device) >= lengths[:, None]
    return scores.masked_fill(outside[:, None], -torch.inf).softmax(dim=-1)


def mla_decode(q_latent: Tensor, q_rope: Tensor, cache: Tensor, lengths: Tensor, scale: float) -> Tensor:
    """Absorbed decoding over the latent cache.

    q_latent (B, H, R), q_rope (B, H, d_rope), cache (B, L, R + d_rope) to (B, H, R).
    """
    if triton_chosen(q_latent):
        return kernel("attention.mla_decode", "mla_decode")(q_latent, q_rope, cache, lengths, scale)
    q = torch.cat([q_latent, q_rope], dim=-1)
    cache = cache.to(q.dtype)
    weights = masked_softmax((q @ cache.transpose(1, 2)).float() * scale, lengths).to(q.dtype)  # (B, H, L)
    return weights @ cache[..., : q_latent.shape[-1]]


def route_tokens(
    x: Tensor, weight: Tensor, bias: Tensor, top_k: int, scaling: float, pinned: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Scores (T, E), chosen experts (T, K) and their weights (T, K) of tokens x (T, D), in float32 also under autocast.

    weight (E, D); bias (E,) takes part in the choice alone; `pinned` (T, K) replaces the choice.
    """
    if triton_chosen(x):
        return kernel("moe.router", "route_tokens")(x, weight, bias, top_k, scaling, pinned)
    with torch.autocast(x.device.type, enabled=False):
        scores = F.linear(x.float(), weight.float()).sigmoid()
    indices = pinned
    if indices is None:
        indices = (scores + bias).topk(top_k, dim=-1, sorted=False).indices
    weights = scores.gather(1, indices)
    return scores, indices, weights / (weights.sum(dim=-1, keepdim=True) + 1e-20) * scaling


def moe_experts(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    """Routed experts: `y_t = sum_k weights[t, k] * down_e(silu(gate_e x_t) * up_e x_t)`, `e = indices[t, k]`.

    x (T, D), indices and weights (T, K), gate_up_proj (E, 2F, D) with the gate rows first, down_proj (E, D, F), to
    (T, D). Tokens are sorted by expert, so each expert is one dense product on its own rows; experts without tokens
    cost nothing.
    """
    if triton_chosen(x):
        x_low, *experts = _lowered(x, gate_up_proj, down_proj)
        decoding = len(x) <= DECODE_TOKENS and not torch.is_grad_enabled()
        run = kernel("moe.decode", "moe_decode") if decoding else kernel("moe.experts", "moe_experts")
        return run(x_low, indices, weights, *experts).to(x.dtype)
    top_k, num_experts = indices.shape[1], len(gate_up_proj)
    if not torch.is_grad_enabled():
        if len(x) == 1:
            return _one_token(x, indices, weights, gate_up_proj, down_proj)
        if num_experts <= 2 * indices.numel() and len(x) <= 2 * num_experts:
            return _every_expert(x, indices, weights, gate_up_proj, down_proj)
    order = indices.flatten().argsort(stable=True)  # (T*K,) slots, expert by expert
    token = order // top_k
    counts = torch.bincount(indices.flatten(), minlength=num_experts).tolist()
    by_expert = x.index_select(0, token).split(counts)
    outputs = [x[:0]]  # so that no token at all gives an empty result
    # unbind, not gate_up_proj[e]: the gradient of each index would be a whole stack, zero but for one expert
    for rows, w_gate_up, w_down in zip(by_expert, gate_up_proj.unbind(), down_proj.unbind(), strict=True):
        if len(rows):
            gate, up = F.linear(rows, w_gate_up).chunk(2, dim=-1)
            outputs.append(F.linear(F.silu(gate) * up, w_down))
    y = torch.cat(outputs) * weights.flatten()[order, None]
    return torch.zeros_like(x, dtype=y.dtype).index_add(0, token, y).to(x.dtype)


def _one_token(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    """`moe_experts` for a decoding step of one sequence: its few experts in turn, without sorting."""
    chosen = indices[0].tolist()
    gate, up = torch.stack([gate_up_proj[e] @ x[0] for e in chosen]).chunk(2, dim=-1)  # (K, F) each
    y = torch.stack([down_proj[e] @ h for e, h in zip(chosen, (F.silu(gate) * up).unbind(), strict=True)])
    return (weights.to(y.dtype) @ y).to(x.dtype)


def _every_expert(x: Tensor, indices: Tensor, weights: Tensor, gate_up_proj: Tensor, down_proj: Tensor) -> Tensor:
    """`moe_experts` for a few tokens that need most experts: each of them sees every token, all at once."""
    gate, up = (x @ gate_up_proj.transpose(1, 2)).chunk(2, dim=-1)  # (E, T, F) each
    y = (F.silu(gate) * up) @ down_proj.transpose(1, 2)  # (E, T, D)
    share = weights.new_zeros(len(x), len(gate_up_proj)).scatter_(1, indices, weights)
    return torch.einsum("te,etd->td", share.to(y.dtype), y).to(x.dtype)


def linear_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor, ignore_index: int = -100) -> Tensor:
    """Mean cross entropy of hidden (T, D) @ weight (V, D).T against labels (T,), float32, without all logits in memory.

    Positions with `ignore_index` do not count; 0 (with zero gradients) if none counts.
    """
    if triton_chosen(hidden):
        hidden, weight = _lowered(hidden, weight)
        return kernel("loss.linear_cross_entropy", "linear_cross_entropy")(hidden, weight, labels, ignore_index)
    keep = labels != ignore_index
    hidden, labels = hidden[keep], labels[keep]
    total = (hidden.sum() + weight[0, 0]) * 0.0
    chunk = max(1, LOSS_CHUNK // len(weight))
    for h, target in zip(hidden.split(chunk), labels.split(chunk), strict=True):
        if len(hidden) > chunk:
            total = total + checkpoint(_chunk_loss, h, weight, target, use_reentrant=False)
        else:
            total = total + _chunk_loss(h, weight, target)
    return total / max(len(labels), 1)


def _chunk_loss(hidden: Tensor, weight: Tensor, labels: Tensor) -> Any:
    return F.cross_entropy(F.linear(hidden, weight).float(), labels, reduction="sum")
