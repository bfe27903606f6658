"""Tiny random models for tests: every width is different, so that a wrong split or a swapped pair of widths cannot
hide.

Weights are drawn so that activations are of order 1 and nothing is at its neutral value: norms are not 1, biases are
not 0, and above all the selection bias is not 0 (with a zero bias nobody sees whether it reached the expert weights).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from minikimi.model.config import KimiVLConfig, TextConfig, VisionConfig
from minikimi.model.kimi_vl import KimiVL

MEDIA, EOS, PAD, VOCAB = 61, 62, 64, 65

VISION = VisionConfig(
    hidden_size=48, num_attention_heads=2, num_hidden_layers=2, intermediate_size=80,
    init_pos_emb_height=5, init_pos_emb_width=5, torch_dtype="float32",
)  # fmt: skip
TEXT = TextConfig(
    vocab_size=VOCAB, max_position_embeddings=256, hidden_size=40, intermediate_size=72, moe_intermediate_size=24,
    num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=3, n_shared_experts=2, n_routed_experts=8,
    num_experts_per_tok=3, routed_scaling_factor=1.7, kv_lora_rank=20, qk_nope_head_dim=12, qk_rope_head_dim=8,
    v_head_dim=10, bos_token_id=60, eos_token_id=EOS, pad_token_id=PAD, torch_dtype="float32",
)  # fmt: skip


def tiny_config(text: dict[str, Any] | None = None, vision: dict[str, Any] | None = None) -> KimiVLConfig:
    """The tiny config with some fields replaced."""
    return KimiVLConfig(
        vision_config=replace(VISION, **(vision or {})),
        text_config=replace(TEXT, **(text or {})),
        media_placeholder_token_id=MEDIA,
        vocab_size=VOCAB,
        torch_dtype="float32",
    )


@torch.no_grad()
def randomise(model: torch.nn.Module, seed: int) -> None:
    """Draw every parameter and buffer, by name."""
    g = torch.Generator().manual_seed(seed)
    for name, p in model.state_dict().items():
        noise = torch.randn(p.shape, generator=g, dtype=torch.float32)
        if "norm" in name and name.endswith("weight"):
            p.copy_(1 + 0.2 * noise)
        elif name.endswith("e_score_correction_bias") or name.endswith("bias"):
            p.copy_(0.2 * noise)
        elif "embed_tokens" in name or "pos_emb" in name:
            p.copy_(noise)
        else:
            fan_in = (
                p[0].numel() if "experts.gate_up_proj" not in name and "experts.down_proj" not in name else p.shape[-1]
            )
            p.copy_(noise * fan_in**-0.5)


def tiny_model(seed: int = 0, text: dict[str, Any] | None = None, vision: dict[str, Any] | None = None) -> KimiVL:
    model = KimiVL(tiny_config(text, vision))
    randomise(model, seed)
    return model


def random_images(grids: list[tuple[int, int]], seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random patches (P, 3, 14, 14) and grids (N, 2)."""
    g = torch.Generator().manual_seed(seed)
    patches = sum(h * w for h, w in grids)
    return torch.randn(patches, 3, 14, 14, generator=g), torch.tensor(grids, dtype=torch.int64).reshape(-1, 2)


def random_text(length: int, seed: int = 0) -> Tensor:
    """Ordinary ids (T,), no special ones."""
    return torch.randint(0, 60, (length,), generator=torch.Generator().manual_seed(seed))


def text_with_images(words: int, grids: list[tuple[int, int]], seed: int = 0) -> Tensor:
    """Ids (T,): `words` random ids, with the media tokens of each image after the first word, the second, ..."""
    ids = random_text(words, seed).tolist()
    for i, (h, w) in reversed(list(enumerate(grids))):
        ids[i + 1 : i + 1] = [MEDIA] * (h * w // 4)
    return torch.tensor(ids)
