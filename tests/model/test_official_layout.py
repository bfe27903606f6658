"""The full-size model has exactly the released tensors, names and shapes, and 16,407,656,048 parameters. Nothing is
allocated."""

import pytest
import torch

from minikimi.model.checkpoint import official_tensors
from minikimi.model.kimi_vl import KimiVL


@pytest.fixture(scope="module")
def model() -> KimiVL:
    return KimiVL.from_preset("kimi-vl-a3b", device="meta")


def released_tensors() -> dict[str, tuple[int, ...]]:
    """The names and shapes in the index of Kimi-VL-A3B-Instruct, written down from its table (without the 27 derived
    `inv_freq`)."""
    v, p, t = "vision_tower.", "multi_modal_projector.", "language_model.model."
    shapes: dict[str, tuple[int, ...]] = {
        v + "patch_embed.proj.weight": (1152, 3, 14, 14),
        v + "patch_embed.proj.bias": (1152,),
        v + "patch_embed.pos_emb.weight": (64, 64, 1152),
        p + "linear_1.weight": (4608, 4608),
        p + "linear_1.bias": (4608,),
        p + "linear_2.weight": (2048, 4608),
        p + "linear_2.bias": (2048,),
        t + "embed_tokens.weight": (163840, 2048),
        "language_model.lm_head.weight": (163840, 2048),
        t + "norm.weight": (2048,),
    }
    for norm in (v + "encoder.final_layernorm", p + "pre_norm"):
        shapes |= {f"{norm}.weight": (1152,), f"{norm}.bias": (1152,)}
    for i in range(27):
        b = f"{v}encoder.blocks.{i}."
        for norm in ("norm0", "norm1"):
            shapes |= {f"{b}{norm}.weight": (1152,), f"{b}{norm}.bias": (1152,)}
        for name, shape in (
            ("wqkv", (3456, 1152)),
            ("wo", (1152, 1152)),
            ("mlp.fc0", (4304, 1152)),
            ("mlp.fc1", (1152, 4304)),
        ):
            shapes |= {f"{b}{name}.weight": shape, f"{b}{name}.bias": shape[:1]}
        y = f"{t}layers.{i}."
        shapes |= {
            y + "input_layernorm.weight": (2048,),
            y + "post_attention_layernorm.weight": (2048,),
            y + "self_attn.q_proj.weight": (3072, 2048),
            y + "self_attn.kv_a_proj_with_mqa.weight": (576, 2048),
            y + "self_attn.kv_a_layernorm.weight": (512,),
            y + "self_attn.kv_b_proj.weight": (4096, 512),
            y + "self_attn.o_proj.weight": (2048, 2048),
        }
        mlps = (
            [("mlp.", 11264)]
            if i == 0
            else [(f"mlp.experts.{e}.", 1408) for e in range(64)] + [("mlp.shared_experts.", 2816)]
        )
        for mlp, width in mlps:
            shapes |= {f"{y}{mlp}{kind}_proj.weight": (width, 2048) for kind in ("gate", "up")}
            shapes[f"{y}{mlp}down_proj.weight"] = (2048, width)
        if i > 0:
            shapes |= {y + "mlp.gate.weight": (64, 2048), y + "mlp.gate.e_score_correction_bias": (64,)}
    return shapes


def test_names_and_shapes(model: KimiVL) -> None:
    expected = released_tensors()
    assert len(expected) == 5652
    ours = {name: tuple(tensor.shape) for name, tensor in official_tensors(model)}
    assert ours == expected


def test_parameter_counts(model: KimiVL) -> None:
    """The selection biases are buffers here and parameters in the released code; the totals count them."""

    def count(part: torch.nn.Module) -> int:
        return sum(t.numel() for t in part.state_dict().values())

    assert count(model.vision_tower) == 416_866_032
    assert count(model.multi_modal_projector) == 30_679_808
    assert count(model.language_model) == 15_960_110_208
    assert count(model) == 16_407_656_048
    assert sum(p.numel() for p in model.parameters()) == 16_407_656_048 - 26 * 64


def test_activated_parameters(model: KimiVL) -> None:
    """6 of 64 routed experts a token: 2.24B without embedding and head, as the Moonlight report counts."""
    text = model.language_model
    experts = sum(p.numel() for n, p in text.named_parameters() if ".experts." in n)
    rest = sum(t.numel() for t in text.state_dict().values()) - experts - 2 * 163840 * 2048
    assert rest + experts * 6 // 64 == 2_243_687_552


def test_only_the_selection_bias_is_a_buffer(model: KimiVL) -> None:
    """Rotary tables are computed, not stored: there is nothing a cast to bfloat16 could spoil."""
    assert {n.split(".")[-1] for n, _ in model.named_buffers()} == {"e_score_correction_bias"}


def test_meta_model_takes_no_memory(model: KimiVL) -> None:
    assert all(t.is_meta for t in model.state_dict().values())


def test_every_module_with_tensors_of_its_own_can_reset_them() -> None:
    """Sharded start-up builds on meta, materialises, then calls `reset_parameters` module by module."""
    model = KimiVL.from_preset("nano", device="meta")
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.fill_(float("nan"))
    for module in model.modules():
        if list(module.parameters(recurse=False)) or list(module.buffers(recurse=False)):
            assert hasattr(module, "reset_parameters"), type(module)
            module.reset_parameters()
    assert all(t.isfinite().all() for t in model.state_dict().values())


def test_fresh_model_and_reset_agree() -> None:
    """`KimiVL.reset_parameters` reaches everything too, with the same distribution: a fresh model starts at a loss of
    ln V."""
    model = KimiVL.from_preset("nano", device="meta")
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.fill_(float("nan"))
    model.reset_parameters()
    fresh = KimiVL.from_preset("nano")
    for (name, a), b in zip(model.state_dict().items(), fresh.state_dict().values(), strict=True):
        assert a.isfinite().all(), name
        if a.numel() > 1000:
            assert a.std().item() == pytest.approx(b.std().item(), rel=0.1), name
    ids = torch.randint(0, 900, (1, 200))
    assert model(ids, labels=ids).loss.item() == pytest.approx(torch.tensor(1024.0).log().item(), abs=0.3)
