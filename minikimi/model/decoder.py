"""The language model: a pre-norm decoder with latent attention and experts (lesson 07).

The first layers have a dense SwiGLU, the others experts. It works on packed sequences: tokens (T, D) of all sequences
one after another. Source: Kimi-VL report (arXiv 2504.07491), section 2.1; Moonlight (arXiv 2502.16982).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor, nn

from minikimi.model.attention import LatentAttention, LatentCache
from minikimi.model.config import TextConfig
from minikimi.model.moe import MoE, Routing, SwiGLU
from minikimi.model.norm import RMSNorm
from minikimi.model.patches import segment_positions
from minikimi.model.rope import rotary_1d


class DecoderLayer(nn.Module):
    """x += attention(norm(x)); x += mlp(norm(x))."""

    def __init__(self, config: TextConfig, index: int) -> None:
        super().__init__()
        dense = index < config.first_k_dense_replace
        self.self_attn = LatentAttention(config)
        self.mlp: SwiGLU | MoE = SwiGLU(config.hidden_size, config.intermediate_size) if dense else MoE(config)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, cu_seqlens: Tensor, max_seqlen: int, pinned: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Routing | None]:
        """Packed tokens (T, D) to (T, D), the cache entries (T, R + d_rope), and the routing of an expert layer."""
        attended, entries = self.self_attn(self.input_layernorm(x), cos, sin, cu_seqlens, max_seqlen)
        x, routing = self.feed_forward(x + attended, pinned)
        return x, entries, routing

    def decode(self, x: Tensor, cos: Tensor, sin: Tensor, cache: LatentCache, layer: int, absorbed: bool) -> Tensor:
        """One new token per sequence: (B, D) to (B, D)."""
        attend = self.self_attn.decode_absorbed if absorbed else self.self_attn.decode
        return self.feed_forward(x + attend(self.input_layernorm(x), cos, sin, cache, layer))[0]

    def feed_forward(self, x: Tensor, pinned: Tensor | None = None) -> tuple[Tensor, Routing | None]:
        h = self.post_attention_layernorm(x)
        if isinstance(self.mlp, MoE):
            y, routing = self.mlp(h, pinned)
            return x + y, routing
        return x + self.mlp(h), None


class Decoder(nn.Module):
    """Embedding, layers and final norm (`language_model.model` of the checkpoint)."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config, i) for i in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)

    def rotary(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        return rotary_1d(positions, self.config.qk_rope_head_dim, self.config.rope_theta)

    def forward(
        self,
        x: Tensor,
        positions: Tensor,
        cu_seqlens: Tensor,
        max_seqlen: int,
        cache: LatentCache | None = None,
        pinned: list[Tensor] | None = None,
    ) -> tuple[Tensor, list[Routing]]:
        """Packed embeddings (T, D) to hidden states (T, D) and one routing per expert layer.

        `positions` (T,) count within the bounds `cu_seqlens` (S + 1,), `max_seqlen` is the longest segment. A given
        `cache` (of S sequences, empty) is filled. `pinned` holds one (T, K) choice of experts per expert layer.
        """
        cos, sin = self.rotary(positions)
        rows = None if cache is None else torch.repeat_interleave(cu_seqlens.diff().long())  # sequence of each token
        routings: list[Routing] = []
        for i, layer in enumerate(self.layers):
            choice = pinned[len(routings)] if pinned is not None and i >= self.config.first_k_dense_replace else None
            x, entries, routing = layer(x, cos, sin, cu_seqlens, max_seqlen, choice)
            if cache is not None and rows is not None:
                cache.put(i, entries, rows, positions)
            if routing is not None:
                routings.append(routing)
        if cache is not None:
            cache.lengths.copy_(cu_seqlens.diff())
        return self.norm(x), routings

    def prefill(
        self,
        x: Tensor,
        cu_seqlens: Tensor,
        max_seqlen: int,
        cache: LatentCache,
        slots: Sequence[int],
        starts: Sequence[int],
    ) -> None:
        """Read packed embeddings (T, D) into the sequences `slots` of the cache, which hold `starts` entries so far.

        Chunk by chunk, a prompt of any length needs the activations of one chunk. The hidden states are not kept: what
        follows is said by `decode`, which reads a prompt's last token.
        """
        ends = [start + n for start, n in zip(starts, cu_seqlens.diff().tolist(), strict=True)]
        begun = torch.tensor(starts, device=x.device).repeat_interleave(cu_seqlens.diff())
        positions = segment_positions(cu_seqlens) + begun
        cos, sin = self.rotary(positions)
        rows = torch.tensor(slots, device=x.device).repeat_interleave(cu_seqlens.diff())
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            if any(starts):
                h = layer.input_layernorm(x)
                attended = layer.self_attn.extend(h, cos, sin, cu_seqlens, positions, cache, i, slots)
                x, _ = layer.feed_forward(x + attended)
            else:
                x, entries, _ = layer(x, cos, sin, cu_seqlens, max_seqlen)
                cache.put(i, entries, rows, positions)
        cache.lengths[slots] = torch.tensor(ends, dtype=torch.int32, device=x.device)

    def decode(self, x: Tensor, cache: LatentCache, absorbed: bool = True, growing: Tensor | None = None) -> Tensor:
        """One new token per sequence, embeddings (B, D) to hidden states (B, D); the cache grows by one entry.

        Where `growing` (B,) is 0 it does not: what such a sequence computes counts for nothing.
        """
        cos, sin = self.rotary(cache.lengths)
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            x = layer.decode(x, cos, sin, cache, i, absorbed)
        cache.lengths += 1 if growing is None else growing
        return self.norm(x)


class LanguageModel(nn.Module):
    """Decoder and output head (`language_model` of the checkpoint). Embedding and head are untied."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Unpadded ids (B, T) to logits (B, T, V), float32: the text model on its own."""
        batch, length = input_ids.shape
        cu_seqlens = torch.arange(0, (batch + 1) * length, length, dtype=torch.int32, device=input_ids.device)
        x = self.model.embed_tokens(rearrange(input_ids, "b t -> (b t)"))
        hidden, _ = self.model(x, segment_positions(cu_seqlens), cu_seqlens, length)
        return rearrange(self.lm_head(hidden).float(), "(b t) v -> b t v", b=batch)
