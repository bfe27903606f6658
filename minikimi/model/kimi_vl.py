"""Kimi-VL assembled: MoonViT, projector and decoder in one model (lesson 07).

Image features replace the embeddings of `<|media_pad|>` in the text; from there on an image is a stretch of tokens
like any other, with plain positions and causal attention. Everything runs packed: a padded batch (B, T) is unpacked
on the way in and laid out again on the way out. Source: Kimi-VL report (arXiv 2504.07491), section 2.1; the forward
signature is that of the released code.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from minikimi.model import ops
from minikimi.model.attention import LatentCache
from minikimi.model.config import KimiVLConfig
from minikimi.model.decoder import LanguageModel
from minikimi.model.moe import Experts, Routing
from minikimi.model.moonvit import MoonViT
from minikimi.model.patches import cumulative_lengths
from minikimi.model.projector import Projector


@dataclass
class Packed:
    """Sequences one after another: ids (T,), positions (T,), bounds (S + 1,) and the longest length."""

    input_ids: Tensor
    positions: Tensor
    cu_seqlens: Tensor
    max_seqlen: int


@dataclass
class KimiVLOutput:
    """`loss` (scalar or None), `hidden` states (T, D) of the packed tokens, and the `routings`, one per expert layer.

    `logits` are computed when asked for, so training never holds them.
    """

    loss: Tensor | None
    hidden: Tensor
    routings: list[Routing]
    head: nn.Linear
    keep: Tensor | None  # (B, T) real positions of a padded batch; None for packed input

    @property
    def logits(self) -> Tensor:
        """(T, V) for packed input, (B, T, V) for a batch, with zeros at padding; float32."""
        logits = self.head(self.hidden).float()
        if self.keep is None:
            return logits
        out = logits.new_zeros(*self.keep.shape, logits.shape[-1])
        out[self.keep] = logits
        return out


class KimiVL(nn.Module):
    """The vision-language model, of any size. Parts: `vision_tower`, `multi_modal_projector`, `language_model`."""

    def __init__(self, config: KimiVLConfig) -> None:
        super().__init__()
        self.config = config
        self.vision_tower = MoonViT(config.vision_config)
        self.multi_modal_projector = Projector(config)
        self.language_model = LanguageModel(config.text_config)
        if self.device.type != "meta":
            self.reset_parameters()

    @classmethod
    def from_preset(cls, name: str, device: torch.device | str = "cpu") -> KimiVL:
        """A freshly initialised model of a preset size. On `device="meta"` it takes no memory."""
        with torch.device(device):
            return cls(KimiVLConfig.preset(name))

    @classmethod
    def from_pretrained(
        cls, directory: str | os.PathLike, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
    ) -> KimiVL:
        """Load an official directory, or a finished run of ours; see `minikimi.model.checkpoint.load_pretrained`."""
        from minikimi.model.checkpoint import load_pretrained

        return load_pretrained(directory, device, dtype)

    def save_pretrained(self, directory: str | os.PathLike) -> None:
        """Write config and weights in the official layout; see `minikimi.model.checkpoint.save_pretrained`."""
        from minikimi.model.checkpoint import save_pretrained

        save_pretrained(self, directory)

    @property
    def device(self) -> torch.device:
        return self.language_model.lm_head.weight.device

    def reset_parameters(self) -> None:
        """Initialise all weights. What Moonshot trained from is not published; this is our choice: normal with
        `initializer_range` in the language model and 1/sqrt(fan_in) in vision tower and projector, zero biases. Word
        embeddings are six times as large, so that the residual stream begins as the word itself."""
        std = self.config.text_config.initializer_range
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                text = name.startswith("language_model")
                nn.init.normal_(module.weight, std=std if text else module.weight[0].numel() ** -0.5)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=6 * std)
            elif isinstance(module, Experts):
                module.std = std
                module.reset_parameters()
            elif module is not self and hasattr(module, "reset_parameters"):
                module.reset_parameters()

    def set_rope_theta(self, theta: float) -> None:
        """Another base for the language model's rotary positions, as before long-context training (50,000 to 800,000:
        Kimi-VL report, section 2.3); it is saved with the model.
        """
        text = replace(self.config.text_config, rope_theta=theta)
        self.config = replace(self.config, text_config=text)
        self.language_model.config = self.language_model.model.config = text

    def image_features(self, pixel_values: Tensor, image_grid_hws: Tensor) -> Tensor:
        """Patches (P, 3, p, p) and grids (N, 2) to one vector per media token (P / 4, D)."""
        dtype = self.vision_tower.patch_embed.proj.weight.dtype
        return self.multi_modal_projector(self.vision_tower(pixel_values.to(dtype), image_grid_hws))

    def embed(self, input_ids: Tensor, pixel_values: Tensor | None, image_grid_hws: Tensor | None) -> Tensor:
        """Ids (T,) to embeddings (T, D), image features in the places of the media tokens, in order.

        Raises `ValueError` if features and placeholders do not match in number.
        """
        x = self.language_model.model.embed_tokens(input_ids)
        places = (input_ids == self.config.media_placeholder_token_id).nonzero()[:, 0]
        if pixel_values is None:
            if len(places):
                raise ValueError(f"the text holds {len(places)} image placeholders but no pixel_values were given")
            return x
        if image_grid_hws is None:
            raise ValueError("pixel_values were given without image_grid_hws; pass both")
        features = self.image_features(pixel_values, image_grid_hws)
        if len(places) != len(features):
            raise ValueError(
                f"{len(places)} image placeholders in the text, {len(features)} image features; they must agree"
            )
        return x.index_put((places,), features.to(x.dtype))

    def forward(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        image_grid_hws: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        labels: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
        pinned: list[Tensor] | None = None,
        cache: LatentCache | None = None,
    ) -> KimiVLOutput:
        """Ids (B, T), or packed ids (T,) with bounds `cu_seqlens` (S + 1,), to loss, hidden states and logits.

        `labels` has the shape of `input_ids`: a token is the target of the one before it, -100 does not count, no
        prediction crosses a sequence's end, and padding (`attention_mask` 0) takes no part. `pinned` fixes the
        experts: (T, K) per expert layer. An empty `cache` is filled for decoding.
        """
        check_shapes(input_ids, attention_mask, labels, cu_seqlens)
        if cache is not None and position_ids is not None:
            raise ValueError(
                "position_ids and cache together: cached positions are always 0, 1, ...; pass one of the two"
            )
        keep = None
        if cu_seqlens is None:
            keep = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
            labels = None if labels is None else labels[keep]
        packed = pack_batch(input_ids, keep, position_ids, cu_seqlens)
        x = self.embed(packed.input_ids, pixel_values, image_grid_hws)
        decoder = self.language_model.model
        hidden, routings = decoder(x, packed.positions, packed.cu_seqlens, packed.max_seqlen, cache, pinned)
        loss = None
        head = self.language_model.lm_head
        if labels is not None:
            targets = next_token_targets(labels, packed.cu_seqlens, self.config.ignore_index)
            loss = ops.linear_cross_entropy(hidden, head.weight, targets, self.config.ignore_index)
        return KimiVLOutput(loss, hidden, routings, head, keep)

    def generate(self, input_ids: Tensor, **options: Any) -> Tensor:
        """Continue the prompts (B, T): the new ids (B, n); see `minikimi.inference.generate.generate`."""
        from minikimi.inference.generate import generate

        return generate(self, input_ids, **options)


def check_shapes(
    input_ids: Tensor, attention_mask: Tensor | None, labels: Tensor | None, cu_seqlens: Tensor | None
) -> None:
    """Raise `ValueError` unless ids are (B, T), or (T,) with bounds up to T, and mask and labels have the shape of
    the ids.
    """
    if input_ids.dim() != (2 if cu_seqlens is None else 1):
        raise ValueError(
            f"input_ids {list(input_ids.shape)}: give (B, T) without cu_seqlens, or packed (T,) with cu_seqlens"
        )
    for name, tensor in (("attention_mask", attention_mask), ("labels", labels)):
        if tensor is not None and tensor.shape != input_ids.shape:
            raise ValueError(f"{name} {list(tensor.shape)} must have the shape of input_ids {list(input_ids.shape)}")
    if cu_seqlens is not None and int(cu_seqlens[-1]) != len(input_ids):
        raise ValueError(f"cu_seqlens ends at {int(cu_seqlens[-1])}, but there are {len(input_ids)} packed tokens")


def pack_batch(
    input_ids: Tensor, keep: Tensor | None, position_ids: Tensor | None, cu_seqlens: Tensor | None
) -> Packed:
    """Bring both input forms to one: drop the padding of (B, T), or take packed (T,) with its bounds as it is."""
    if keep is None:
        assert cu_seqlens is not None
        lengths = cu_seqlens.diff()
        starts = cu_seqlens[:-1].repeat_interleave(lengths)
        positions = torch.arange(len(input_ids), device=input_ids.device) - starts
    else:
        lengths = keep.sum(dim=1)
        cu_seqlens = cumulative_lengths(lengths)
        positions = (keep.cumsum(dim=1) - 1)[keep]
        input_ids = input_ids[keep]
        position_ids = None if position_ids is None else position_ids.expand_as(keep)[keep]
    positions = positions if position_ids is None else position_ids
    return Packed(input_ids, positions, cu_seqlens, int(lengths.max()))


def next_token_targets(labels: Tensor, cu_seqlens: Tensor, ignore_index: int = -100) -> Tensor:
    """Shift labels (T,) by one within each packed sequence; a sequence's last position has no target."""
    targets = labels.roll(-1)
    targets[cu_seqlens[1:].long() - 1] = ignore_index
    return targets
