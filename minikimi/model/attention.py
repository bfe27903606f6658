"""Multi-head latent attention (MLA): keys and values live in a small shared latent (lesson 05).

* `kv_a_proj_with_mqa` makes, per token, a latent c of width R and one rotary key for all heads. Only these R + d_rope
  numbers are cached.
* `kv_b_proj` expands c to each head's keys (without position) and values.
* Three ways to compute the same thing, which tests hold equal: the training form (`forward`), decoding with keys and
  values expanded from the cache (`decode`), and decoding that never expands them (`decode_absorbed`). The last moves
  queries into the latent, since `q·(W c) = (Wᵀ q)·c`.

`kv_a_layernorm` has eps 1e-6, unlike every other norm of the model. Sources: DeepSeek-V2 (arXiv 2405.04434), section
2.1; Kimi-VL report (arXiv 2504.07491), section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from minikimi.model import ops
from minikimi.model.config import TextConfig
from minikimi.model.norm import RMSNorm


class LatentCache:
    """The memory of a decoder for B sequences.

    Per layer one buffer (B, capacity, R + d_rope); `lengths` (B,) are shared by all layers. A token costs (R + d_rope)
    numbers a layer, whatever the number of heads. Buffers never move, so a step can be captured in a graph.
    """

    def __init__(self, config: TextConfig, batch: int, capacity: int, device: torch.device, dtype: torch.dtype) -> None:
        width = config.kv_lora_rank + config.qk_rope_head_dim
        self.layers = [
            torch.zeros(batch, capacity, width, device=device, dtype=dtype) for _ in range(config.num_hidden_layers)
        ]
        self.lengths = torch.zeros(batch, dtype=torch.int32, device=device)
        self.capacity = capacity

    def part(self, batch: int, capacity: int) -> LatentCache:
        """A view of the first `batch` sequences and `capacity` entries, which shares their memory."""
        view = object.__new__(LatentCache)
        view.layers = [layer[:batch, :capacity] for layer in self.layers]
        view.lengths, view.capacity = self.lengths[:batch], capacity
        return view

    def put(self, layer: int, entries: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """Store entries (T, R + d_rope) of sequences `rows` (T,) at `positions` (T,); returns the layer's buffer."""
        self.layers[layer][rows, positions] = entries.to(self.layers[layer].dtype)
        return self.layers[layer]


class LatentAttention(nn.Module):
    """One MLA layer. Parameter names are those of the released checkpoint."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.num_heads, self.rank = config.num_attention_heads, config.kv_lora_rank
        self.nope, self.rope, self.v_dim = config.qk_nope_head_dim, config.qk_rope_head_dim, config.v_head_dim
        self.scale = config.qk_head_dim**-0.5
        width, heads = config.hidden_size, config.num_attention_heads
        self.q_proj = nn.Linear(width, heads * config.qk_head_dim, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(width, self.rank + self.rope, bias=False)
        self.kv_a_layernorm = RMSNorm(self.rank, eps=1e-6)
        self.kv_b_proj = nn.Linear(self.rank, heads * (self.nope + self.v_dim), bias=False)
        self.o_proj = nn.Linear(heads * self.v_dim, width, bias=False)

    def queries(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, D) to q_nope (T, H, d_nope) and the turned q_rope (T, H, d_rope)."""
        q = rearrange(self.q_proj(x), "t (h d) -> t h d", h=self.num_heads)
        q_nope, q_rope = q.split([self.nope, self.rope], dim=-1)
        return q_nope, ops.rotary(q_rope, cos, sin)

    def latents(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """x (T, D) to what is cached: the normed latent (T, R) and the turned key (T, d_rope), one for all heads."""
        latent, k_rope = self.kv_a_proj_with_mqa(x).split([self.rank, self.rope], dim=-1)
        return self.kv_a_layernorm(latent), ops.rotary(k_rope[:, None], cos, sin)[:, 0]

    def expand(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (..., R) to keys without position (..., H, d_nope) and values (..., H, d_v)."""
        kv = rearrange(self.kv_b_proj(latent), "... (h d) -> ... h d", h=self.num_heads)
        k_nope, v = kv.split([self.nope, self.v_dim], dim=-1)
        return k_nope, v

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cu_seqlens: Tensor, max_seqlen: int
    ) -> tuple[Tensor, Tensor]:
        """Training form over packed sequences: x (T, D) to the output (T, D) and the cache entries (T, R + d_rope)."""
        q_nope, q_rope = self.queries(x, cos, sin)
        latent, k_rope = self.latents(x, cos, sin)
        k_nope, v = self.expand(latent)
        out = ops.mla_attention(q_nope, q_rope, k_nope, k_rope, v, cu_seqlens, max_seqlen, self.scale)
        return self.o_proj(rearrange(out, "t h d -> t (h d)")), torch.cat([latent, k_rope], dim=-1)

    def extend(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        cu_seqlens: Tensor,
        positions: Tensor,
        cache: LatentCache,
        layer: int,
        slots: Sequence[int],
    ) -> Tensor:
        """Packed tokens x (T, D) that go on in the sequences `slots` of the cache, at `positions` (T,); to (T, D).

        Keys and values of one sequence after another are expanded from its cached latents, old and new.
        """
        q = torch.cat(self.queries(x, cos, sin), dim=-1)
        lengths = cu_seqlens.diff()
        rows = torch.tensor(slots, device=x.device).repeat_interleave(lengths)
        entries = cache.put(layer, torch.cat(self.latents(x, cos, sin), dim=-1), rows, positions)
        outputs = []
        for slot, new, last in zip(
            slots, q.split(lengths.tolist()), positions[cu_seqlens[1:].long() - 1].tolist(), strict=True
        ):
            latent, k_rope = entries[slot, : last + 1].split([self.rank, self.rope], dim=-1)
            k_nope, v = self.expand(latent)
            k = torch.cat([k_nope, k_rope[:, None].expand(-1, self.num_heads, -1)], dim=-1)
            outputs.append(ops.later_attention(new, k, v, self.scale))
        return self.o_proj(rearrange(torch.cat(outputs), "t h d -> t (h d)"))

    def decode(self, x: Tensor, cos: Tensor, sin: Tensor, cache: LatentCache, layer: int) -> Tensor:
        """One new token per sequence, x (B, D) to (B, D), with keys and values expanded from the whole cache."""
        q_nope, q_rope = self.queries(x, cos, sin)
        entries = self._append(x, cos, sin, cache, layer)
        latent, k_rope = entries.split([self.rank, self.rope], dim=-1)  # (B, L, R), (B, L, d_rope)
        k_nope, v = self.expand(latent)  # (B, L, H, d)
        scores = torch.einsum("bhd,blhd->bhl", q_nope, k_nope) + torch.einsum("bhd,bld->bhl", q_rope, k_rope)
        weights = ops.masked_softmax(scores.float() * self.scale, cache.lengths + 1).to(v.dtype)
        out = torch.einsum("bhl,blhd->bhd", weights, v)
        return self.o_proj(rearrange(out, "b h d -> b (h d)"))

    def decode_absorbed(self, x: Tensor, cos: Tensor, sin: Tensor, cache: LatentCache, layer: int) -> Tensor:
        """As `decode`, but queries and outputs pass through the halves of `kv_b_proj`: no key or value is made."""
        q_nope, q_rope = self.queries(x, cos, sin)
        entries = self._append(x, cos, sin, cache, layer)
        w_key, w_value = self.kv_b_proj.weight.unflatten(0, (self.num_heads, -1)).split([self.nope, self.v_dim], dim=1)
        # batched over the heads, which is half the time of an einsum where a step is bound by launches
        q_latent = (q_nope.transpose(0, 1) @ w_key).transpose(0, 1)  # (B, H, R)
        out_latent = ops.mla_decode(q_latent, q_rope, entries, cache.lengths + 1, self.scale)  # (B, H, R)
        out = (out_latent.transpose(0, 1) @ w_value.transpose(1, 2)).transpose(0, 1)  # (B, H, d_v)
        return self.o_proj(out.flatten(1))

    def _append(self, x: Tensor, cos: Tensor, sin: Tensor, cache: LatentCache, layer: int) -> Tensor:
        latent, k_rope = self.latents(x, cos, sin)
        rows = torch.arange(len(x), device=x.device)
        return cache.put(layer, torch.cat([latent, k_rope], dim=-1), rows, cache.lengths.long())
