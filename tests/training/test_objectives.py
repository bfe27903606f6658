"""Next-token training: what the loss is made of, and that its parts are the columns it names."""

import pytest
import torch

from minikimi.data.forms import encode
from minikimi.data.packing import pack
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.training.objectives import PARTS, NextToken
from minikimi.training.vit import SiglipCaption
from minikimi.world import PictureWorld


@pytest.fixture(scope="module")
def batch():
    processor, world = Processor.small(), PictureWorld(3, "train", {"caption": 1, "story": 1})
    return pack([encode(processor, world[i], "document") for i in range(6)], [str(i) for i in range(6)])


def test_all_parts_are_trained_unless_some_are_named() -> None:
    assert NextToken().train_parts == PARTS
    assert NextToken(["language_model"]).train_parts == ("language_model",)


def test_balance_is_added_with_its_weight(batch) -> None:
    model = KimiVL.from_preset("nano")
    plain, weighted = NextToken(aux_loss=0.0).loss(model, batch), NextToken(aux_loss=0.5).loss(model, batch)
    assert torch.equal(plain.total, plain.parts["loss_text"])
    assert torch.allclose(weighted.total, weighted.parts["loss_text"] + 0.5 * weighted.parts["loss_balance"])
    alpha = model.config.text_config.aux_loss_alpha
    own = NextToken().loss(model, batch)
    assert alpha > 0 and torch.allclose(own.total, own.parts["loss_text"] + alpha * own.parts["loss_balance"])


def test_parts_are_the_columns() -> None:
    processor, world = Processor.small(), PictureWorld(3, "train", {"caption": 1})
    pictures = pack([encode(processor, world[i], "caption") for i in range(4)], [str(i) for i in range(4)])
    model = KimiVL.from_preset("nano")
    for objective in (NextToken(), SiglipCaption(width=32, layers=1)):
        objective.setup(model)
        assert tuple(objective.loss(model, pictures).parts) == objective.columns
