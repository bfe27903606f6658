"""Another rotary base for a model that is there already: what long-context training begins with."""

from pathlib import Path

import pytest
import torch
from tiny_models import random_text, tiny_model

from minikimi.model.kimi_vl import KimiVL
from minikimi.training.module import Start, Training
from minikimi.training.objectives import NextToken

SHORT, LONG = 50_000.0, 800_000.0


def angles(model: KimiVL, positions: torch.Tensor) -> torch.Tensor:
    """The angles with which the model turns its queries and keys at these positions, in (-pi, pi]."""
    cos, sin = model.language_model.model.rotary(positions)
    return torch.atan2(sin, cos)


def test_the_angles_follow_the_base() -> None:
    """Pair i of position p is turned by p theta^(-2i/d): with four pairs, the last one slows down 8 times."""
    model, position = tiny_model(text=dict(rope_theta=SHORT)), torch.tensor([3])
    for theta in (SHORT, LONG):
        model.set_rope_theta(theta)
        expected = torch.tensor([[3.0 * theta ** (-2 * i / 8) for i in range(4)]])
        torch.testing.assert_close(angles(model, position), expected)


def test_logits_change_and_come_back() -> None:
    model, ids = tiny_model(text=dict(rope_theta=SHORT)).eval(), random_text(40)[None]
    before = model(ids).logits
    model.set_rope_theta(LONG)
    assert (model(ids).logits - before).abs().max() > 1e-3
    torch.testing.assert_close(model(ids).logits[:, 0], before[:, 0])  # position 0 is never turned
    model.set_rope_theta(SHORT)
    assert torch.equal(model(ids).logits, before)


def test_only_the_base_changes_and_only_in_this_model() -> None:
    model, other = tiny_model(), tiny_model()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = other.config
    model.set_rope_theta(LONG / 2)
    assert other.config == config and other.language_model.config.rope_theta == config.text_config.rope_theta
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())


def test_it_is_saved_and_loaded(tmp_path: Path) -> None:
    model, ids = tiny_model(text=dict(rope_theta=SHORT)).eval(), random_text(40)[None]
    model.set_rope_theta(LONG)
    model.save_pretrained(tmp_path / "model")
    loaded = KimiVL.from_pretrained(tmp_path / "model").eval()
    assert loaded.config.text_config.rope_theta == LONG
    assert torch.equal(loaded(ids).logits, model(ids).logits)


@pytest.mark.parametrize(("given", "expected"), [(None, SHORT), (LONG, LONG)])
def test_a_stage_sets_it_or_keeps_it(given: float | None, expected: float) -> None:
    training = Training(NextToken(["language_model"]), steps=1, lr=1e-3, start=Start("nano", rope_theta=given))
    assert training.model.config.text_config.rope_theta == expected
    assert training.model.language_model.model.config.rope_theta == expected
