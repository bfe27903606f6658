"""Exercise 5.9: Bytes of a conversation (difficulty 2, 3 minutes)

Hint 1: Full: every head keeps a key (qk_head_dim) and a value (v_head_dim). Latent: one of each kind for all heads
together.

Hint 2: full = heads * (qk_head_dim + v_head_dim), latent = kv_lora_rank + qk_rope_head_dim; times layers, tokens and 2
bytes.

Why: 576 numbers instead of 5,120 per token and layer, nearly nine times fewer; the number of heads no longer counts.
"""

from __future__ import annotations

import torch

from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.model.config import TextConfig

wrong = Wrongs()


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


@wrong("a rotary key per head", "All heads share one rotary key: count it once.")
def bytes_key_per_head(text: TextConfig, tokens: int) -> tuple[int, int]:
    full, _ = cache_bytes(text, tokens)
    width = text.kv_lora_rank + text.num_attention_heads * text.qk_rope_head_dim
    return full, 2 * text.num_hidden_layers * tokens * width


@wrong("one layer", "Every layer keeps a cache of its own: times num_hidden_layers.")
def bytes_one_layer(text: TextConfig, tokens: int) -> tuple[int, int]:
    full, latent = cache_bytes(text, tokens)
    return full // text.num_hidden_layers, latent // text.num_hidden_layers


@wrong("keys without values", "A full cache holds values too: v_head_dim more numbers per head.")
def bytes_keys_only(text: TextConfig, tokens: int) -> tuple[int, int]:
    _, latent = cache_bytes(text, tokens)
    return 2 * text.num_hidden_layers * tokens * text.num_attention_heads * text.qk_head_dim, latent


@wrong("the latent stored twice", "Keys and values come from the same latent. It is stored once.")
def bytes_latent_twice(text: TextConfig, tokens: int) -> tuple[int, int]:
    full, latent = cache_bytes(text, tokens)
    return full, latent + 2 * text.num_hidden_layers * tokens * text.kv_lora_rank


EXERCISE = Exercise(**words(__doc__), solution=cache_bytes, cases=bytes_cases, wrong=wrong)
