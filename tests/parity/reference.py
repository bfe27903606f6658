"""The transformers models that compute the same function as ours, built from our config and weights."""

from __future__ import annotations

import torch
from convert import model_to_k25, official, part, text_to_deepseek, vision_to_k25
from torch import Tensor
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM
from transformers.models.kimi_k25.configuration_kimi_k25 import Kimi_K25Config, Kimi_K25VisionConfig
from transformers.models.kimi_k25.modeling_kimi_k25 import Kimi_K25ForConditionalGeneration, Kimi_K25VisionModel

from minikimi.model.config import KimiVLConfig, TextConfig, VisionConfig
from minikimi.model.kimi_vl import KimiVL

COPIED = [
    "vocab_size", "max_position_embeddings", "hidden_size", "intermediate_size", "moe_intermediate_size",
    "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "n_shared_experts", "n_routed_experts",
    "routed_scaling_factor", "kv_lora_rank", "q_lora_rank", "qk_rope_head_dim", "v_head_dim", "qk_nope_head_dim",
    "n_group", "topk_group", "num_experts_per_tok", "first_k_dense_replace", "norm_topk_prob", "rms_norm_eps",
    "attention_bias", "bos_token_id", "eos_token_id", "pad_token_id",
]  # fmt: skip


def deepseek_config(text: TextConfig) -> DeepseekV3Config:
    """Every dimension is passed: the defaults are those of DeepSeek-V3 with 671B parameters."""
    rope = {"rope_type": "default", "rope_theta": text.rope_theta}
    values = {name: getattr(text, name) for name in COPIED}
    return DeepseekV3Config(
        **values,
        rope_parameters=rope,
        rope_interleave=True,
        num_nextn_predict_layers=0,
        tie_word_embeddings=False,
        attn_implementation="eager",
    )


def vision_config(vision: VisionConfig) -> Kimi_K25VisionConfig:
    return Kimi_K25VisionConfig(
        patch_size=vision.patch_size,
        pos_emb_height=vision.init_pos_emb_height,
        pos_emb_width=vision.init_pos_emb_width,
        pos_emb_time=4,
        num_attention_heads=vision.num_attention_heads,
        num_hidden_layers=vision.num_hidden_layers,
        hidden_size=vision.hidden_size,
        intermediate_size=vision.intermediate_size,
        merge_kernel_size=list(vision.merge_kernel_size),
    )


def whole_config(config: KimiVLConfig) -> Kimi_K25Config:
    return Kimi_K25Config(
        text_config=deepseek_config(config.text_config).to_dict(),
        vision_config=vision_config(config.vision_config).to_dict(),
        projection_hidden_size=config.vision_config.hidden_size,
        image_token_id=config.media_placeholder_token_id,
        video_token_id=config.text_config.vocab_size + 1,
        tie_word_embeddings=False,
    )


def load(reference: torch.nn.Module, state: dict[str, Tensor]) -> torch.nn.Module:
    reference.load_state_dict({name: tensor.clone() for name, tensor in state.items()}, strict=True)
    return reference.eval()


def text_reference(model: KimiVL) -> DeepseekV3ForCausalLM:
    state = text_to_deepseek(part(official(model.state_dict()), "language_model."))
    return load(DeepseekV3ForCausalLM(deepseek_config(model.config.text_config)), state)


def vision_reference(model: KimiVL) -> Kimi_K25VisionModel:
    config = vision_config(model.config.vision_config)
    state = vision_to_k25(part(model.state_dict(), "vision_tower."), config.num_attention_heads)
    return load(Kimi_K25VisionModel._from_config(config, attn_implementation="sdpa"), state)


def whole_reference(model: KimiVL) -> Kimi_K25ForConditionalGeneration:
    config = whole_config(model.config)
    reference = Kimi_K25ForConditionalGeneration._from_config(config, attn_implementation="eager")
    return load(reference, model_to_k25(official(model.state_dict()), model.config.vision_config.num_attention_heads))


def with_time(grids: Tensor) -> Tensor:
    """Grids (N, 2) to (N, 3): an image is a video of one frame."""
    return torch.cat([torch.ones_like(grids[:, :1]), grids], dim=1)


def converted_gradients(model: KimiVL) -> dict[str, Tensor]:
    """Our gradients under the reference's names. Reordering rows is linear, so gradients convert like weights."""
    grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return model_to_k25(official(grads), model.config.vision_config.num_attention_heads)
