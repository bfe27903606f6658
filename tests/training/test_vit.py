"""The ViT stage's objective against transformers' SigLIP, and what its parts must and must not depend on."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from minikimi import KimiVL, Processor
from minikimi.data import PackedBatch, pack
from minikimi.data.forms import encode
from minikimi.errors import UserError
from minikimi.training.vit import SiglipCaption, segment_mean, siglip_loss
from minikimi.world import PictureWorld


@pytest.fixture
def batch() -> PackedBatch:
    processor, world = Processor.small(), PictureWorld(0, "train", {"caption": 1, "count": 1})
    return pack([encode(processor, world[i], "caption") for i in range(6)])


@pytest.fixture
def objective_and_model() -> tuple[SiglipCaption, KimiVL]:
    model = KimiVL.from_preset("nano")
    objective = SiglipCaption(width=32, layers=1)
    objective.setup(model)
    return objective, model


def test_siglip_loss_equals_transformers() -> None:
    """The peer computes it inside SiglipModel; its towers are replaced by ones that hand over our vectors."""
    from transformers import SiglipConfig, SiglipModel

    tower = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2)
    config = SiglipConfig(
        text_config=dict(**tower, vocab_size=50, max_position_embeddings=8),
        vision_config=dict(**tower, image_size=28, patch_size=14),
    )
    peer = SiglipModel(config)
    nn.init.constant_(peer.logit_scale, 1.3)  # not the initial values: both must be used, in the right places
    nn.init.constant_(peer.logit_bias, -2.1)
    out = peer(input_ids=torch.randint(0, 50, (5, 8)), pixel_values=torch.randn(5, 3, 28, 28), return_loss=True)
    ours = siglip_loss(out.image_embeds, out.text_embeds, peer.logit_scale, peer.logit_bias)
    torch.testing.assert_close(ours, out.loss)


def test_equal_captions_are_no_negatives() -> None:
    image = F.normalize(torch.randn(3, 8, dtype=torch.float64), dim=-1)
    text = F.normalize(torch.randn(3, 8, dtype=torch.float64), dim=-1)
    scale, bias = torch.tensor(1.0), torch.tensor(-1.0)
    same = torch.eye(3, dtype=torch.bool)
    same[0, 2] = same[2, 0] = True
    z = (text @ image.T) * scale.exp() + bias
    by_hand = -sum(
        F.logsigmoid(z[i, j] if i == j else -z[i, j]) for i in range(3) for j in range(3) if i == j or not same[i, j]
    )
    torch.testing.assert_close(siglip_loss(image, text, scale, bias, same), by_hand / 3)


def test_segment_mean_is_a_mean_per_segment() -> None:
    x = torch.randn(7, 4)
    bounds = torch.tensor([0, 2, 3, 7], dtype=torch.int32)
    expected = torch.stack([x[:2].mean(0), x[2], x[3:].mean(0)])
    torch.testing.assert_close(segment_mean(x, bounds), expected)


def test_total_is_contrastive_plus_twice_caption(objective_and_model, batch) -> None:
    objective, model = objective_and_model
    loss = objective.loss(model, batch)
    torch.testing.assert_close(loss.total, loss.parts["loss_siglip"] + 2 * loss.parts["loss_caption"])


def test_gradients_reach_the_tower_and_every_part_of_the_objective(objective_and_model, batch) -> None:
    objective, model = objective_and_model
    objective.loss(model, batch).total.backward()
    still = [
        name for name, p in [*objective.named_parameters(), *model.vision_tower.named_parameters()] if p.grad is None
    ]
    assert still == []
    assert all(p.grad is None for p in model.language_model.parameters())


def test_caption_loss_sees_the_image_and_only_its_own(objective_and_model, batch) -> None:
    """Blank the first image: the loss of its caption moves, that of the second sample alone does not."""
    objective, model = objective_and_model
    patches = model.vision_tower.patches(batch.pixel_values, batch.grid_hws)
    first = int(batch.grid_hws[0].prod())
    other = patches.clone()
    other[:first] = torch.randn_like(other[:first])

    def loss_of(sample: int, features: torch.Tensor) -> torch.Tensor:
        labels = torch.full_like(batch.labels, -100)
        a, b = batch.cu_seqlens[sample : sample + 2].tolist()
        labels[a:b] = batch.labels[a:b]
        return objective.caption(model, features, PackedBatch(**{**vars(batch), "labels": labels}))

    assert (loss_of(0, patches) - loss_of(0, other)).abs() > 1e-4
    torch.testing.assert_close(loss_of(1, patches), loss_of(1, other), rtol=0, atol=1e-6)


def test_several_images_of_a_sample_are_pooled_together(objective_and_model) -> None:
    """Pages have four to eight images, scenes one: each sample is the mean of all its own patches, whatever their
    number. Text by text and mean by mean, unpacked."""
    objective, model = objective_and_model
    processor = Processor.small()
    worlds = [PictureWorld(0, "train", {task: 1.0}) for task in ("pages", "caption", "compare", "flag", "pages")]
    encoded = [encode(processor, world[i], "caption") for i, world in enumerate(worlds)]
    assert len({len(e.grid_hws) for e in encoded}) > 2
    batch = pack(encoded)
    patches = model.vision_tower.patches(batch.pixel_values, batch.grid_hws)

    bounds = torch.tensor([0, *(int(e.grid_hws.prod(1).sum()) for e in encoded)]).cumsum(0).tolist()
    image = torch.stack([patches[a:b].mean(0) for a, b in itertools.pairwise(bounds)])
    words = [e.labels[e.labels != -100] for e in encoded]
    embed = objective.text_encoder.embed_tokens
    text = torch.stack([
        objective.text_encoder(embed(w), torch.arange(len(w)), torch.tensor([0, len(w)], dtype=torch.int32), len(w))[0]
        .mean(0) for w in words
    ])  # fmt: skip
    by_hand = siglip_loss(
        F.normalize(objective.image_head(image), dim=-1),
        F.normalize(objective.text_head(text), dim=-1),
        objective.log_scale,
        objective.bias,
    )
    torch.testing.assert_close(objective.contrastive(patches, batch), by_hand, rtol=1e-5, atol=1e-5)


def test_a_sample_without_an_image_is_refused() -> None:
    """Its mean over no patches would be NaN, and so would be the loss of the whole batch."""
    processor = Processor.small()
    worlds = [PictureWorld(0, "train", {task: 1}) for task in ("caption", "arithmetic")]
    batch = pack([encode(processor, world[0], "caption") for world in worlds], ["seen", "only-words"])
    model, objective = KimiVL.from_preset("nano"), SiglipCaption(width=32, layers=1)
    objective.setup(model)
    with pytest.raises(UserError, match="only-words has no image"):
        objective.loss(model, batch)
