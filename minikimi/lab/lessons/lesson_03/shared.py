"""What several exercises of lesson 03 share."""

from __future__ import annotations

from minikimi.model.config import VisionConfig

SMALL = VisionConfig(
    patch_size=2,
    num_attention_heads=2,
    num_hidden_layers=2,
    hidden_size=16,
    intermediate_size=24,
    init_pos_emb_height=4,
    init_pos_emb_width=5,
)
