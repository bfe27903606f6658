"""Facts of an evaluation that are not scores, from models and files counted by hand."""

from pathlib import Path

import pytest
from tiny_models import tiny_model

from minikimi.errors import UserError
from minikimi.evaluation.facts import active_parameters, peak_memory_gib, preset_of, stage_costs
from minikimi.model.kimi_vl import KimiVL


def test_costs_of_the_stages_that_were_trained(tmp_path: Path) -> None:
    for stage, rows in (("rl", "1,100,30\n2,200,60\n"), ("vit", "1,50,6\n"), ("nonsense", "1,1,1\n")):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "metrics.csv").write_text("step,tokens_per_second,seconds\n" + rows)
    costs = stage_costs(tmp_path)
    assert list(costs) == ["vit", "rl"], "in their order, and only stages"
    assert costs["rl"] == {"minutes": 1.5, "steps": 2, "tokens": 15000}
    assert stage_costs(tmp_path / "vit") == {}


def test_a_token_uses_all_but_the_experts_it_is_not_sent_to() -> None:
    model = tiny_model(0)
    text = model.config.text_config
    expert = 3 * text.hidden_size * text.moe_intermediate_size  # gate, up, down
    layers = text.num_hidden_layers - text.first_k_dense_replace
    unused = layers * (text.n_routed_experts - text.num_experts_per_tok) * expert
    assert active_parameters(model) == sum(p.numel() for p in model.parameters()) - unused


def test_a_preset_is_known_by_its_network_whatever_its_context(tmp_path: Path) -> None:
    model = KimiVL.from_preset("nano")
    model.set_rope_theta(800_000.0)
    model.save_pretrained(tmp_path / "nano")
    assert preset_of(tmp_path / "nano") == "nano"
    tiny_model(0).save_pretrained(tmp_path / "tiny")
    with pytest.raises(UserError, match="fits no preset; name the settings with --preset"):
        preset_of(tmp_path / "tiny")


def test_memory_is_counted_in_gib() -> None:
    assert 0.05 < peak_memory_gib() < 512  # torch alone takes a tenth of one
