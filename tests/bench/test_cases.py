"""The comparisons: the same work every time, and all of it done."""

import pytest
import torch

from minikimi.bench import cases
from minikimi.model.config import KimiVLConfig


@pytest.mark.slow
def test_generation_does_all_the_work() -> None:
    case = cases.generation("nano", 8)
    ids = case.ours()["ids"]
    assert ids.shape == (8, 48)  # no sequence ended early, so both sides did all the work
    assert len(ids.unique()) > 16  # and the model does not repeat one token for ever


def test_the_work_is_the_same_in_every_run() -> None:
    config = KimiVLConfig.preset("nano")
    first, again = (cases.random_texts(config, 5, 4, 8) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert sorted(map(len, first)) == [4, 5, 6, 7, 8]
    model = cases.small_model("nano")
    pixels, grids = cases.random_images(model.vision_tower, 7)
    assert len(pixels) == int(grids.prod(1).sum()) and not (grids % 2).any()
    assert int(grids.min()) >= 4 and int(grids.max()) <= 20


def test_the_model_never_ends_and_never_shows_an_image() -> None:
    model = cases.small_model("nano")
    weight = model.language_model.lm_head.weight
    silent = (weight == 0).all(dim=1).nonzero().flatten().tolist()
    assert model.config.media_placeholder_token_id in silent and len(silent) < 10
