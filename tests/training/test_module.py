"""The one module of all stages: what it starts from, what it trains, how its rate goes, what it logs."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from minikimi.configs import settings
from minikimi.errors import UserError
from minikimi.files import SHIPPED
from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moe import Router
from minikimi.training.module import Schedule, Start, Training
from minikimi.training.objectives import PARTS, Loss, NextToken

EMBEDDINGS = "language_model.model.embed_tokens.weight"


def training(start: Start, *train: str, **options: float) -> Training:
    return Training(NextToken(train or PARTS), steps=10, lr=1e-3, start=start, **options)  # type: ignore[arg-type]


def test_a_fresh_model_may_take_a_language_model() -> None:
    named = settings("small", "vit")["model"]["start"]["language_model"]
    taken = Start("small", language_model=named).model()
    shipped = load_file(SHIPPED / named / "model.safetensors")
    assert torch.equal(taken.state_dict()[EMBEDDINGS], shipped[EMBEDDINGS])
    assert not torch.equal(KimiVL.from_preset("small").state_dict()[EMBEDDINGS], shipped[EMBEDDINGS])


def test_word_embeddings_of_a_fresh_model_can_be_scaled() -> None:
    norms = []
    for scale in (1.0, 0.25):
        torch.manual_seed(0)
        norms.append(Start("nano", embedding_scale=scale).model().state_dict()[EMBEDDINGS].norm())
    assert torch.isclose(norms[1], norms[0] / 4)


def test_a_directory_goes_before_all_that_is_said_of_a_fresh_model(tmp_path: Path) -> None:
    saved = KimiVL.from_preset("nano")
    saved.save_pretrained(tmp_path)
    fresh = {"language_model": "small-text", "embedding_scale": 9.0}
    model = Start("small", init_from=str(tmp_path), rope_theta=7e5, **fresh).model()  # type: ignore[arg-type]
    assert torch.equal(model.state_dict()[EMBEDDINGS], saved.state_dict()[EMBEDDINGS])
    assert model.config.text_config.rope_theta == 7e5


def test_only_the_parts_that_are_named_move() -> None:
    module = training(Start("nano"), "vision_tower", "multi_modal_projector")
    moving = {name.split(".")[0] for name, p in module.model.named_parameters() if p.requires_grad}
    assert moving == {"vision_tower", "multi_modal_projector"}
    with pytest.raises(UserError, match="the model has no part 'eyes'; it has vision_tower"):
        training(Start("nano"), "eyes")


def test_schedules_by_hand() -> None:
    """Warm-up to 1, then half-way down: a cosine and a line agree there, and end at the final ratio."""
    for shape in ("cosine", "linear"):
        factor = Schedule(shape, warmup=4, final_ratio=0.2).factor(24)  # type: ignore[arg-type]
        assert factor(0) == pytest.approx(0.25) and factor(3) == pytest.approx(1.0)
        assert factor(14) == pytest.approx(0.6, abs=0.05) and factor(23) == pytest.approx(0.2, abs=0.05)
    assert Schedule(warmup=100).factor(10)(9) == pytest.approx(1.0), "a warm-up is no longer than the stage"


def test_the_busiest_experts_excess_is_recorded_and_biases_move_against_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module = training(Start("nano"), "language_model", bias_update_rate=0.5)
    monkeypatch.setattr(module, "log", lambda *_, **__: None)
    routers = [m for m in module.model.modules() if isinstance(m, Router)]
    experts = module.model.config.text_config.n_routed_experts
    counts = torch.ones(experts)
    counts[0] = 3.0 * experts
    module.balance([counts for _ in routers])
    assert module.measured["max_violation"] == pytest.approx(3 * experts / (4 * experts - 1) * experts - 1)
    assert all(r.e_score_correction_bias.argmin() == 0 for r in routers)
    frozen = training(Start("nano"), "vision_tower")
    monkeypatch.setattr(frozen, "log", lambda *_, **__: None)
    before = [m.e_score_correction_bias.clone() for m in frozen.model.modules() if isinstance(m, Router)]
    frozen.balance([counts for _ in before])
    after = [m.e_score_correction_bias for m in frozen.model.modules() if isinstance(m, Router)]
    assert all(map(torch.equal, before, after)), "a frozen language model keeps its biases too"


def test_what_is_logged_stands_in_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    module, logged = training(Start("nano")), {}
    monkeypatch.setattr(module, "log", lambda name, value, **options: logged.update({name: (float(value), options)}))
    loss = Loss(torch.tensor(2.0, requires_grad=True), {"loss_text": torch.tensor(1.5)}, [])
    monkeypatch.setattr(module.objective, "loss", lambda model, batch: loss)
    module.training_step(SimpleNamespace(tokens=5), 0)  # type: ignore[arg-type]
    assert {name: value for name, (value, _) in logged.items()} == {"loss": 2.0, "loss_text": 1.5}
    assert logged["loss"][1]["prog_bar"] and not logged["loss_text"][1]["prog_bar"]
    assert {name: float(v) for name, v in module.measured.items()} == {"loss": 2.0, "loss_text": 1.5}
    assert not module.measured["loss"].requires_grad and module.tokens == 5


@pytest.mark.slow
def test_alignment_moves_only_tower_and_projector(nano_run: Path) -> None:
    """Alignment starts from the ViT stage's model, whose language model is the text stage's."""
    text, vit, align = (load_file(nano_run / s / "model" / "model.safetensors") for s in ("text", "vit", "align"))
    moved = {name.split(".")[0] for name in align if not torch.equal(align[name], vit[name])}
    assert moved == {"vision_tower", "multi_modal_projector"}
    assert {name.split(".")[0] for name in vit if not torch.equal(text[name], vit[name])} == {"vision_tower"}


@pytest.mark.slow
def test_selection_biases_move_and_keep_their_mean(nano_run: Path) -> None:
    weights = load_file(nano_run / "joint" / "model" / "model.safetensors")
    biases = [tensor for name, tensor in weights.items() if name.endswith("e_score_correction_bias")]
    assert biases and all(b.abs().max() > 1e-4 and abs(b.mean()) < 1e-6 for b in biases)
