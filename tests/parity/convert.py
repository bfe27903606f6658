"""From Kimi-VL's names to those of transformers' Kimi K2.5 and DeepSeek-V3, which compute the same thing.

Each function maps a dictionary {name: tensor}. It renames, stacks and reorders rows only, so it converts gradients as
well as weights.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

# Order matters: norm1 has to leave before norm0 takes its name, and fc1 before fc0.
VISION_RENAMES = [
    (r"patch_embed\.pos_emb\.weight", r"patch_embed.pos_emb.position_embeddings"),
    (r"encoder\.blocks\.(\d+)\.norm1\.", r"layers.\1.norm2."),
    (r"encoder\.blocks\.(\d+)\.norm0\.", r"layers.\1.norm1."),
    (r"encoder\.blocks\.(\d+)\.mlp\.fc1\.", r"layers.\1.mlp.fc2."),
    (r"encoder\.blocks\.(\d+)\.mlp\.fc0\.", r"layers.\1.mlp.fc1."),
    (r"encoder\.blocks\.(\d+)\.wo\.", r"layers.\1.attn.proj."),
    (r"encoder\.final_layernorm\.", r"final_layernorm."),
]
PROJECTOR_RENAMES = {"linear_1": "in_proj", "linear_2": "out_proj", "pre_norm": "pre_norm"}


def half_split_rows(rows: Tensor, heads: int) -> Tensor:
    """Reorder the output rows of q or k: per head, the first of each adjacent rotary pair, then the second ones.

    Kimi-VL rotates (x0, x1), (x2, x3), ...; transformers rotates (x0, x_{d/2}), (x1, x_{d/2+1}), ...
    """
    return rows.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def vision_to_k25(state: dict[str, Tensor], heads: int) -> dict[str, Tensor]:
    """MoonViT names (without `vision_tower.`) to `Kimi_K25VisionModel` names."""
    out = {}
    for name, tensor in state.items():
        if ".wqkv." in name:
            layer, kind = re.fullmatch(r"encoder\.blocks\.(\d+)\.wqkv\.(weight|bias)", name).groups()
            q, k, v = tensor.chunk(3)
            out[f"layers.{layer}.attn.q_proj.{kind}"] = half_split_rows(q, heads)
            out[f"layers.{layer}.attn.k_proj.{kind}"] = half_split_rows(k, heads)
            out[f"layers.{layer}.attn.v_proj.{kind}"] = v
            continue
        for pattern, replacement in VISION_RENAMES:
            renamed = re.sub(pattern, replacement, name)
            if renamed != name:
                name = renamed
                break
        out[name] = tensor
    return out


def projector_to_k25(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Projector names (without `multi_modal_projector.`) to `Kimi_K25MultimodalProjection` names."""
    return {f"{PROJECTOR_RENAMES[n.split('.')[0]]}.{n.split('.')[1]}": t for n, t in state.items()}


def text_to_deepseek(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Official language-model names (without `language_model.`; one matrix per expert) to `DeepseekV3ForCausalLM`:
    experts stacked."""
    out, parts = {}, {}
    for name, tensor in state.items():
        expert = re.fullmatch(r"(.+\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name)
        if expert:
            parts[expert[1], int(expert[2]), expert[3]] = tensor
        elif not name.endswith("inv_freq"):
            out[name] = tensor
    for prefix in dict.fromkeys(key[0] for key in parts):
        n = sum(key[0] == prefix and key[2] == "down" for key in parts)
        gate_up = [torch.cat([parts[prefix, e, "gate"], parts[prefix, e, "up"]]) for e in range(n)]
        out[f"{prefix}.gate_up_proj"] = torch.stack(gate_up)
        out[f"{prefix}.down_proj"] = torch.stack([parts[prefix, e, "down"] for e in range(n)])
    return out


def part(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below `prefix`, without it."""
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}


def model_to_k25(state: dict[str, Tensor], vision_heads: int) -> dict[str, Tensor]:
    """All official names to `Kimi_K25ForConditionalGeneration`."""
    vision = vision_to_k25(part(state, "vision_tower."), vision_heads)
    projector = projector_to_k25(part(state, "multi_modal_projector."))
    text = text_to_deepseek(part(state, "language_model."))
    out = {f"model.vision_tower.{n}": t for n, t in vision.items()}
    out |= {f"model.mm_projector.{n}": t for n, t in projector.items()}
    out |= {
        n if n.startswith("lm_head") else f"model.language_model.{n.removeprefix('model.')}": t for n, t in text.items()
    }
    return out


def official(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """minikimi's names (experts stacked, gate rows first) to official ones; apart from `minikimi.model.checkpoint` on
    purpose."""
    out = {}
    for name, tensor in state.items():
        if name.endswith("experts.gate_up_proj"):
            width = tensor.shape[1] // 2
            for e in range(len(tensor)):
                base = name.replace("gate_up_proj", str(e))
                out[f"{base}.gate_proj.weight"], out[f"{base}.up_proj.weight"] = tensor[e, :width], tensor[e, width:]
        elif name.endswith("experts.down_proj"):
            for e in range(len(tensor)):
                out[f"{name.replace('down_proj', str(e))}.down_proj.weight"] = tensor[e]
        else:
            out[name] = tensor
    return out
