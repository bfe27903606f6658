"""What the bench compares with: other implementations of our models, holding the same weights (lessons 03, 05, 17).

* `text_peer`: transformers' DeepSeek-V3, the architecture of Kimi-VL's language model.
* `vision_peer`: transformers' Kimi-K2.5 vision tower, a later MoonViT that equals ours on single images.
* `padded_tower`: our own tower on a padded batch, which is what MoonViT would be without NaViT packing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minikimi.model.config import TextConfig
from minikimi.model.decoder import LanguageModel
from minikimi.model.moonvit import MoonViT, VisionBlock
from minikimi.model.rope import apply_rotary, rotary_2d

# Fields of our config that transformers' DeepSeek-V3 does not know; none of them changes the function computed here.
NOT_IN_PEER = {"ep_size", "topk_method", "moe_layer_freq", "scoring_func", "aux_loss_alpha", "seq_aux", "torch_dtype",
               "model_type", "rope_theta", "rope_scaling"}  # fmt: skip


def text_peer(ours: LanguageModel, attention: str) -> Any:
    """transformers' `DeepseekV3ForCausalLM` with the weights of `ours`; `attention` is "eager" or "sdpa"."""
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    config: TextConfig = ours.config
    fields: dict[str, Any] = {name: value for name, value in asdict(config).items() if name not in NOT_IN_PEER}
    fields["rope_parameters"] = {"rope_type": "default", "rope_theta": config.rope_theta}
    fields |= {"num_mtp_layers": 0, "attn_implementation": attention}
    peer = DeepseekV3ForCausalLM(DeepseekV3Config(**fields))
    peer.load_state_dict(ours.state_dict())
    return peer


def vision_peer(ours: MoonViT, attention: str) -> Any:
    """transformers' `Kimi_K25VisionModel` with the weights of `ours`; `attention` is "eager" or "sdpa"."""
    from transformers.models.kimi_k25 import Kimi_K25VisionConfig, Kimi_K25VisionModel

    config = ours.config
    peer = Kimi_K25VisionModel(
        Kimi_K25VisionConfig(
            patch_size=config.patch_size,
            pos_emb_height=config.init_pos_emb_height,
            pos_emb_width=config.init_pos_emb_width,
            num_attention_heads=config.num_attention_heads,
            num_hidden_layers=config.num_hidden_layers,
            hidden_size=config.hidden_size,
            intermediate_size=config.intermediate_size,
            merge_kernel_size=config.merge_kernel_size,
            **{"attn_implementation": attention},  # type: ignore[arg-type]
        )
    )
    peer.load_state_dict(vision_peer_weights(ours))
    return peer


def vision_peer_weights(ours: MoonViT) -> dict[str, Tensor]:
    """Our tower's weights under the peer's names, with queries and keys in the peer's channel order."""
    renamed = {}
    for name, tensor in ours.state_dict().items():
        name = name.replace("encoder.blocks.", "layers.").replace("encoder.final", "final")
        name = name.replace("mlp.fc1", "mlp.fc2").replace("mlp.fc0", "mlp.fc1")
        name = name.replace("norm1.", "norm2.").replace("norm0.", "norm1.")
        name = name.replace("pos_emb.weight", "pos_emb.position_embeddings").replace(".wo.", ".attn.proj.")
        if ".wqkv." in name:
            q, k, v = tensor.chunk(3)
            heads = ours.config.num_attention_heads
            for letter, part in (("q", halves_first(q, heads)), ("k", halves_first(k, heads)), ("v", v)):
                renamed[name.replace(".wqkv.", f".attn.{letter}_proj.")] = part
        else:
            renamed[name] = tensor
    return renamed


def halves_first(rows: Tensor, heads: int) -> Tensor:
    """Reorder each head's rows from pairs 0, 1, 2, 3, ... to halves 0, 2, ..., 1, 3, ...: the other convention."""
    return rows.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def padded_tower(tower: MoonViT, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
    """Every patch after the final norm (P, D), as `tower.patches`, but computed on images padded to the largest grid.

    Each image takes max(h) * max(w) places; attention masks the padding, every other layer computes it in vain.
    """
    lengths = grid_hws.prod(dim=1)
    places = int(grid_hws[:, 0].max() * grid_hws[:, 1].max())
    real = torch.arange(places) < lengths[:, None]  # (N, L)
    x = pad(tower.patch_embed(pixel_values, grid_hws), real)
    cos, sin = (pad(table, real).flatten(0, 1) for table in rotary_2d(grid_hws, tower.encoder.head_dim))
    for block in tower.encoder.blocks:
        assert isinstance(block, VisionBlock)
        x = x + padded_attention(block, x, cos, sin, real)
        x = x + block.mlp(block.norm1(x))
    return tower.encoder.final_layernorm(x)[real]


def pad(x: Tensor, real: Tensor) -> Tensor:
    """Packed rows (P, D) to (N, L, D), zeros where `real` (N, L) is false."""
    out = x.new_zeros(*real.shape, x.shape[-1])
    out[real] = x
    return out


def padded_attention(block: VisionBlock, x: Tensor, cos: Tensor, sin: Tensor, real: Tensor) -> Tensor:
    """A block's attention on (N, L, D); the mask `real` (N, L) hides padding from the queries."""
    qkv = block.wqkv(block.norm0(x)).unflatten(-1, (3, block.num_heads, -1))  # (N, L, 3, H, d)
    q, k, v = qkv.unbind(2)
    q, k = (apply_rotary(t.flatten(0, 1), cos, sin).view_as(v) for t in (q, k))
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))  # (N, H, L, d)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=real[:, None, None])
    return block.wo(out.transpose(1, 2).flatten(2))


def separate_matrices(params: list[nn.Parameter], row_blocks: int) -> list[nn.Parameter]:
    """Copies of `params` as 2-D parameters, each one matrix that Muon orthogonalises, gradients included."""
    from minikimi.optim.muon import as_matrices

    matrices = []
    for p in params:
        assert p.grad is not None
        pairs = zip(as_matrices(p.detach(), row_blocks), as_matrices(p.grad, row_blocks), strict=True)
        for weight, grad in pairs:
            matrices.append(nn.Parameter(weight.clone()))
            matrices[-1].grad = grad.clone()
    return matrices
