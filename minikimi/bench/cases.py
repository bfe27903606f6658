"""The comparisons of `minikimi bench`: what runs on our side, what runs on the other (lesson 17).

Each function builds one `Comparison` for a preset: two or more callables that do the same work from the same weights
and return its results, so that what is timed is also what is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from minikimi.bench import peers
from minikimi.model.config import KimiVLConfig
from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moonvit import MoonViT
from minikimi.model.patches import cumulative_lengths
from minikimi.optim import Muon, param_groups
from minikimi.processor.text.special_tokens import stop_ids

Results = dict[str, Tensor]
ATTENTIONS = ("eager", "sdpa")


@dataclass
class Comparison:
    """Our way and others' ways to the same `Results`. `tolerance` bounds ||ours - theirs|| / ||theirs|| of each."""

    name: str
    what: str
    ours: Callable[[], Results]
    peers: dict[str, Callable[[], Results]]
    tolerance: float


def small_model(preset: str) -> KimiVL:
    """A freshly initialised model of the preset, the same in every run, that never wants to end or to emit an image."""
    torch.manual_seed(0)
    model = KimiVL.from_preset(preset)
    config = model.config
    silent = [*stop_ids(config.text_config.eos_token_id), config.media_placeholder_token_id]
    with torch.no_grad():  # a zero row gives logit 0, below the largest of the others
        model.language_model.lm_head.weight[silent] = 0.0
    return model


def random_texts(config: KimiVLConfig, count: int, shortest: int, longest: int) -> list[Tensor]:
    """`count` sequences of ordinary tokens, their lengths spread evenly over [shortest, longest] in random order."""
    generator = torch.Generator().manual_seed(1)
    lengths = torch.linspace(shortest, longest, count).long()[torch.randperm(count, generator=generator)]
    ordinary = config.text_config.bos_token_id
    return [torch.randint(ordinary, (n,), generator=generator) for n in lengths.tolist()]


def padded(texts: list[Tensor], value: int, side: str) -> Tensor:
    """Sequences to one batch (B, T)."""
    return nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=value, padding_side=side)


def training_step(preset: str) -> Comparison:
    """Forward and backward of the language model: a packed batch against the padded batch of transformers."""
    model = small_model(preset)
    texts = random_texts(model.config, 48, 16, 96)
    ids, cu_seqlens = torch.cat(texts), cumulative_lengths(torch.tensor([len(t) for t in texts]))

    def ours() -> Results:
        model.zero_grad()
        loss = model(ids, labels=ids, cu_seqlens=cu_seqlens).loss
        loss.backward()
        return {"loss": loss.detach(), **gradients(model.language_model)}

    def theirs(attention: str) -> Callable[[], Results]:
        peer = peers.text_peer(model.language_model, attention).train()
        batch, labels = padded(texts, 0, "right"), padded(texts, -100, "right")
        mask = (labels != -100).long()

        def run() -> Results:
            peer.zero_grad()
            loss = peer(input_ids=batch, attention_mask=mask, labels=labels, use_cache=False).loss
            loss.backward()
            return {"loss": loss.detach(), **gradients(peer)}

        return run

    what = "48 texts of 16 to 96 tokens, loss and all gradients; transformers DeepseekV3ForCausalLM, padded"
    return Comparison("training step, text", what, ours, {a: theirs(a) for a in ATTENTIONS}, 1e-3)


def gradients(model: nn.Module) -> Results:
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def generation(preset: str, prompts: int) -> Comparison:
    """Greedy generation with a cache: the engine against transformers' `generate`."""
    model = small_model(preset).eval()
    texts, new = random_texts(model.config, prompts, 16, 64), 48
    batch = padded(texts, model.config.text_config.pad_token_id, "left")
    mask = padded([torch.ones_like(t) for t in texts], 0, "left")

    def ours() -> Results:
        return {"ids": model.generate(batch, attention_mask=mask, max_new_tokens=new)}

    def theirs(attention: str) -> Callable[[], Results]:
        peer = peers.text_peer(model.language_model, attention).eval()

        def run() -> Results:
            out = peer.generate(input_ids=batch, attention_mask=mask, max_new_tokens=new, do_sample=False)
            return {"ids": out[:, batch.shape[1] :]}

        return run

    what = f"{prompts} prompts of 16 to 64 tokens, 48 greedy tokens each; transformers generate() with its cache"
    return Comparison(f"greedy generation, batch {prompts}", what, ours, {a: theirs(a) for a in ATTENTIONS}, 0.0)


def random_images(tower: MoonViT, count: int) -> tuple[Tensor, Tensor]:
    """Packed noise images, patches (P, 3, p, p) and grids (N, 2): sides are even, from 4 to 20 patches."""
    generator = torch.Generator().manual_seed(2)
    grid_hws = 2 * torch.randint(2, 11, (count, 2), generator=generator)
    patch = tower.config.patch_size
    return torch.randn(int(grid_hws.prod(1).sum()), 3, patch, patch, generator=generator), grid_hws


def vision(preset: str) -> Comparison:
    """MoonViT forward and backward, both packed: ours against transformers' Kimi-K2.5 tower."""
    tower = small_model(preset).vision_tower
    pixels, grid_hws = random_images(tower, 16)
    grid_thw = torch.cat([torch.ones_like(grid_hws[:, :1]), grid_hws], dim=1)

    def ours() -> Results:
        tower.zero_grad()
        return backward(tower, tower(pixels, grid_hws))

    def theirs(attention: str) -> Callable[[], Results]:
        peer = peers.vision_peer(tower, attention).train()

        def run() -> Results:
            peer.zero_grad()
            return backward(peer, peer(pixels, grid_thw=grid_thw).pooler_output)

        return run

    what = "16 images of 4x4 to 20x20 patches, packed, output and gradient; transformers Kimi_K25VisionModel, packed"
    return Comparison("vision tower", what, ours, {a: theirs(a) for a in ATTENTIONS}, 1e-3)


def packing(preset: str) -> Comparison:
    """Our tower on packed images against the same tower on images padded to the largest grid."""
    tower = small_model(preset).vision_tower
    pixels, grid_hws = random_images(tower, 16)

    def ours() -> Results:
        tower.zero_grad()
        return backward(tower, tower.patches(pixels, grid_hws))

    def theirs() -> Results:
        tower.zero_grad()
        return backward(tower, peers.padded_tower(tower, pixels, grid_hws))

    what = "16 images of 4x4 to 20x20 patches, output and gradient; the same weights on a padded, masked batch"
    return Comparison("packed vs padded images", what, ours, {"padded": theirs}, 1e-3)


def backward(tower: nn.Module, features: Tensor) -> Results:
    """Backward from a fixed random combination of the features (their squares, normed, would sum to a constant).

    The first layer's gradient, which is returned, has passed through the whole tower.
    """
    generator = torch.Generator().manual_seed(4)
    (features * torch.randn(features.shape, generator=generator)).sum().backward()
    proj = tower.patch_embed.proj  # type: ignore[union-attr]
    return {"features": features.detach(), "gradient": proj.weight.grad.clone()}  # type: ignore[union-attr, operator]


def muon_step(preset: str) -> Comparison:
    """One optimizer step on all matrices of the model: batched by shape against `torch.optim.Muon`, one by one."""
    model = small_model(preset)
    generator = torch.Generator().manual_seed(3)
    groups = [group for group in param_groups(model, lr=0.1) if group["use_muon"]]
    params = [p for group in groups for p in group["params"]]
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator)
    matrices = [peers.separate_matrices(g["params"], g["row_blocks"]) for g in groups]
    flat = [m for group in matrices for m in group]
    optimizer = Muon(groups, lr=0.1, weight_decay=0.1)
    peer = torch.optim.Muon(flat, lr=0.1, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw")

    def ours() -> Results:
        optimizer.step()
        return {"weights": torch.cat([p.detach().flatten() for p in params])}

    def theirs() -> Results:
        peer.step()
        return {"weights": torch.cat([m.detach().flatten() for m in flat])}

    what = f"{len(params)} tensors that hold {len(flat)} matrices; torch.optim.Muon(adjust_lr_fn='match_rms_adamw')"
    return Comparison("Muon step", what, ours, {"torch": theirs}, 3e-2)


CASES: dict[str, Callable[[str], Comparison]] = {
    "step": training_step,
    "generation-1": partial(generation, prompts=1),
    "generation-8": partial(generation, prompts=8),
    "vision": vision,
    "packing": packing,
    "muon": muon_step,
}
