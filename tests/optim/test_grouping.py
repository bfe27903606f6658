"""Who goes where, by the official parameter names."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from minikimi.optim import Muon, group_table, param_groups

# name -> (shape, group): one of every kind that Kimi-VL has, at toy width 8, F = 6, E = 3 experts, 2 heads.
KINDS = {
    "vision_tower.patch_embed.proj.weight": ((8, 3, 2, 2), "muon"),
    "vision_tower.patch_embed.proj.bias": ((8,), "adamw"),
    "vision_tower.patch_embed.pos_emb.weight": ((4, 4, 8), "adamw"),
    "vision_tower.encoder.blocks.0.wqkv.weight": ((24, 8), "muon_3_blocks"),
    "vision_tower.encoder.blocks.0.norm0.weight": ((8,), "adamw"),
    "vision_tower.encoder.blocks.0.mlp.fc0.weight": ((12, 8), "muon"),
    "multi_modal_projector.linear_1.weight": ((8, 8), "muon"),
    "multi_modal_projector.pre_norm.weight": ((8,), "adamw"),
    "language_model.model.embed_tokens.weight": ((10, 8), "adamw"),
    "language_model.lm_head.weight": ((10, 8), "adamw"),
    "language_model.model.norm.weight": ((8,), "adamw"),
    "language_model.model.layers.1.self_attn.q_proj.weight": ((12, 8), "muon"),
    "language_model.model.layers.1.self_attn.kv_b_proj.weight": ((16, 4), "muon"),
    "language_model.model.layers.1.mlp.gate.weight": ((3, 8), "muon"),  # the router
    "language_model.model.layers.1.mlp.experts.gate_up_proj": ((3, 12, 8), "muon_2_blocks"),
    "language_model.model.layers.1.mlp.experts.down_proj": ((3, 8, 6), "muon"),
}


def tree(shapes: dict[str, tuple[int, ...]]) -> nn.Module:
    """A module with exactly these parameter names."""
    root = nn.Module()
    for name, shape in shapes.items():
        *path, leaf = name.split(".")
        module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, nn.Module())
            module = module._modules[part]
        module.register_parameter(leaf, nn.Parameter(torch.zeros(shape)))
    return root


def kimi() -> nn.Module:
    model = tree({name: shape for name, (shape, _) in KINDS.items()})
    gate = model.get_submodule("language_model.model.layers.1.mlp.gate")
    gate.register_buffer("e_score_correction_bias", torch.zeros(3))
    return model


def assignment(groups: list[dict]) -> dict[str, str]:
    return {name: g["name"] for g in groups for name in g["param_names"]}


def test_every_kind_of_parameter_goes_to_its_group() -> None:
    model = kimi()
    groups = param_groups(model, lr=1e-3, weight_decay=0.1)
    assert assignment(groups) == {name: group for name, (_, group) in KINDS.items()}
    assert all(g["weight_decay"] == 0.1 and g["lr"] == 1e-3 for g in groups)  # decay on norms and biases too
    everything = list(model.parameters())
    for g in groups:
        assert all(everything[i] is p for i, p in zip(g["positions"], g["params"], strict=True))
    Muon(groups)  # shapes are accepted


def test_vision_switch_moves_the_tower_only() -> None:
    moved = assignment(param_groups(kimi(), lr=1e-3, vision_on_adamw=True))
    expected = {n: "adamw" if n.startswith("vision_tower.") else group for n, (_, group) in KINDS.items()}
    assert moved == expected


def test_per_head_splits_query_and_key_value_expansions() -> None:
    changed = (
        assignment(param_groups(kimi(), lr=1e-3, per_head=4)).items()
        - assignment(param_groups(kimi(), lr=1e-3)).items()
    )
    prefix = "language_model.model.layers.1.self_attn."
    assert changed == {(prefix + "q_proj.weight", "muon_4_blocks"), (prefix + "kv_b_proj.weight", "muon_4_blocks")}
    with pytest.raises(ValueError, match=r"q_proj.weight has 12 rows.*5 blocks"):
        param_groups(kimi(), lr=1e-3, per_head=5)


def test_frozen_parts_are_left_out() -> None:
    model = kimi()
    model.get_submodule("vision_tower").requires_grad_(False)
    names = assignment(param_groups(model, lr=1e-3)).keys()
    assert names == {n for n in KINDS if not n.startswith("vision_tower.")}
    with pytest.raises(ValueError, match="no trainable parameter"):
        param_groups(model.requires_grad_(False), lr=1e-3)


def test_any_embedding_is_a_table_and_tied_weights_appear_once() -> None:
    model = nn.Sequential(OrderedDict(words=nn.Embedding(5, 4), mix=nn.Linear(4, 4), my_lm_head=nn.Linear(4, 5)))
    assert assignment(param_groups(model, lr=1.0))["words.weight"] == "adamw"
    assert assignment(param_groups(model, lr=1.0))["my_lm_head.weight"] == "muon"  # a suffix ends at a dot
    model.my_lm_head.weight = model.words.weight
    groups = param_groups(model, lr=1.0)
    assert assignment(groups)["words.weight"] == "adamw"
    assert sum(len(g["params"]) for g in groups) == 4


def test_table_counts_tensors_and_parameters() -> None:
    rows = {line.split()[0]: line.split() for line in group_table(param_groups(kimi(), lr=1e-3)).splitlines()}
    assert rows["muon_2_blocks"][1:3] == ["1", "288"]
    assert rows["adamw"][1:3] == ["7", str(8 * 4 + 128 + 160)]
