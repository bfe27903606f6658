"""The nano model learns: every parameter gets a finite gradient and a few AdamW steps lower the loss, with images in
the text."""

import pytest
import torch
from tiny_models import random_images

from minikimi.model.kimi_vl import KimiVL
from minikimi.model.patches import cumulative_lengths

GRIDS = [(4, 4), (2, 6)]


def batch() -> dict[str, torch.Tensor]:
    """Two samples, one image each, with 981 as the media token; targets are the words after the image."""
    g = torch.Generator().manual_seed(0)
    ids, labels, lengths = [], [], []
    for h, w in GRIDS:
        words = torch.randint(0, 900, (24,), generator=g)
        media = torch.full((h * w // 4,), 981)
        ids += [media, words]
        labels += [torch.full_like(media, -100), words]
        lengths.append(len(media) + len(words))
    pixels, grids = random_images(GRIDS)
    return dict(
        input_ids=torch.cat(ids), labels=torch.cat(labels), cu_seqlens=cumulative_lengths(torch.tensor(lengths)),
        pixel_values=pixels, image_grid_hws=grids,
    )  # fmt: skip


@pytest.mark.parametrize("autocast", [False, True])
def test_a_few_steps_lower_the_loss(autocast: bool) -> None:
    torch.manual_seed(0)
    model = KimiVL.from_preset("nano")
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(8):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = model(**batch()).loss
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    assert losses[0] == pytest.approx(6.93, abs=0.3)  # ln 1024: a fresh model knows nothing
    assert losses[-1] < 0.75 * losses[0]


def test_every_parameter_gets_a_finite_gradient() -> None:
    """With enough tokens every expert is used, so none may be left without."""
    torch.manual_seed(1)
    model = KimiVL.from_preset("nano")
    model(**batch()).loss.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all(), name
        assert p.grad.any(), name
    used = model.language_model.model.layers[1].mlp.experts.down_proj.grad.flatten(1).any(dim=1)
    assert used.all()


def test_the_picture_matters() -> None:
    """The gradient reaches the pixels through tower, projector and decoder, for both images."""
    model = KimiVL.from_preset("nano")
    inputs = batch()
    inputs["pixel_values"].requires_grad_()
    model(**inputs).loss.backward()
    assert inputs["pixel_values"].grad.flatten(1).abs().sum(1).min() > 0
