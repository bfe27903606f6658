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

from minikimi.files import model_directory
from minikimi.model import ops
from minikimi.model.attention import LatentCache
from minikimi.model.checkpoint import MAX_SHARD_BYTES, load_weights, save_checkpoint
from minikimi.model.config import KimiVLConfig
from minikimi.model.decoder import LanguageModel
from minikimi.model.moe import Experts, Routing
from minikimi.model.moonvit import MoonViT
from minikimi.model.patches import cumulative_lengths, segment_positions
from minikimi.model.projector import Projector


@dataclass
class Packed:
    """Sequences one after another."""

    input_ids: Tensor  # (T,)
    positions: Tensor  # (T,)
    cu_seqlens: Tensor  # (S + 1,) bounds
    max_seqlen: int  # length of the longest


@dataclass
class KimiVLOutput:
    """What a forward pass gives. `logits` are computed when asked for, so training never holds them."""

    loss: Tensor | None  # mean over the targets; None without labels
    hidden: Tensor  # (T, D) of the packed tokens
    routings: list[Routing]  # one per expert layer
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
        """Load an official directory, a finished run (`runs/NAME`, which holds `model/`) or a shipped name (`small`).

        `dtype` defaults to the config's; the selection bias stays float32. Raises `UserError` for a missing or damaged
        file, and for weights that do not fit the config.
        """
        directory = model_directory(directory)
        config = KimiVLConfig.from_pretrained(directory)
        with torch.device("meta"):
            model = cls(config)
        model = model.to(dtype or getattr(torch, config.torch_dtype))  # all but the selection bias
        load_weights(model, directory, device)
        return model.eval()

    def save_pretrained(self, directory: str | os.PathLike, max_shard_bytes: int = MAX_SHARD_BYTES) -> None:
        """Write config and weights in the official layout; see `minikimi.model.checkpoint.save_checkpoint`."""
        save_checkpoint(self, self.config, directory, max_shard_bytes)

    @property
    def device(self) -> torch.device:
        return self.language_model.lm_head.weight.device

    def reset_parameters(self) -> None:
        """Initialise all weights. What Moonshot trained from is not published; this is our choice.

        Normal with `initializer_range` in the language model and 1/sqrt(fan_in) in vision tower and projector, zero
        biases. Word embeddings are six times as large, so that the residual stream begins as the word itself.
        """
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
        """Another base for the language model's rotary positions; it is saved with the model.

        Long-context training begins so: 50,000 to 800,000 (Kimi-VL report, section 2.3).
        """
        text = replace(self.config.text_config, rope_theta=theta)
        self.config = replace(self.config, text_config=text)
        self.language_model.config = self.language_model.model.config = text

    def image_features(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        """Patches (P, 3, p, p) and grids (N, 2) to one vector per media token (P / 4, D)."""
        dtype = self.vision_tower.patch_embed.proj.weight.dtype
        return self.multi_modal_projector(self.vision_tower(pixel_values.to(dtype), grid_hws))

    def embed(
        self,
        input_ids: Tensor,
        pixel_values: Tensor | None = None,
        grid_hws: Tensor | None = None,
        feature_index: Tensor | None = None,
    ) -> Tensor:
        """Ids (T,) to embeddings (T, D), image features in the places of the media tokens, in order.

        `feature_index` (M,) says which feature each of the M media tokens takes, so that sequences about one image can
        share it. No patches (P = 0) are as good as None: the tower does not run. Raises `ValueError` if features and
        placeholders do not match in number.
        """
        x = self.language_model.model.embed_tokens(input_ids)
        media = self.config.media_placeholder_token_id
        if pixel_values is None or not len(pixel_values):
            places = int((input_ids == media).sum())
            if places:
                raise ValueError(f"the text holds {places} image placeholders but no pixel_values were given")
            return x
        if grid_hws is None:
            raise ValueError("pixel_values were given without image_grid_hws; pass both")
        features = self.image_features(pixel_values, grid_hws)
        return place_features(x, input_ids, features if feature_index is None else features[feature_index], media)

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
        feature_index: Tensor | None = None,
    ) -> KimiVLOutput:
        """Ids (B, T), or packed ids (T,) with bounds `cu_seqlens` (S + 1,), to loss, hidden states and logits.

        The arguments up to `labels` are those of the released code.

        Args:
            input_ids: (B, T), or packed (T,).
            pixel_values: (P, 3, p, p) patches of all images, in the order of their media tokens.
            image_grid_hws: (N, 2) rows and columns of patches of each image.
            attention_mask: (B, T), 0 at padding, which takes no part; None for a batch without padding.
            position_ids: of the shape of `input_ids`; None counts 0, 1, ... in every sequence.
            labels: of the shape of `input_ids`; a token is the target of the one before it, -100 does not count, and
                no prediction crosses a sequence's end.
            cu_seqlens: (S + 1,) bounds of packed sequences.
            pinned: the experts to use, (T, K) per expert layer.
            cache: an empty one is filled for decoding.
            feature_index: (M,) which image feature each media token takes; None takes them in order.

        Raises:
            ValueError: the inputs do not fit together.
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
        x = self.embed(packed.input_ids, pixel_values, image_grid_hws, feature_index)
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
    """Raise `ValueError` unless the shapes fit together.

    Ids are (B, T), or (T,) with bounds up to T; mask and labels have the shape of the ids.
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


def place_features(x: Tensor, input_ids: Tensor, features: Tensor, placeholder: int) -> Tensor:
    """Embeddings (T, D) with the features (M, D) in the places of the M placeholders, in order; a new tensor.

    Raises `ValueError` if they do not match in number.
    """
    places = (input_ids == placeholder).nonzero()[:, 0]
    if len(places) != len(features):
        raise ValueError(
            f"{len(places)} image placeholders in the text, {len(features)} image features; they must agree"
        )
    return x.index_put((places,), features.to(x.dtype))


def pack_batch(
    input_ids: Tensor, keep: Tensor | None, position_ids: Tensor | None, cu_seqlens: Tensor | None
) -> Packed:
    """Bring both input forms to one: drop the padding of (B, T), or take packed (T,) with its bounds as it is."""
    if keep is not None:
        cu_seqlens = cumulative_lengths(keep.sum(dim=1))
        input_ids = input_ids[keep]
        position_ids = None if position_ids is None else position_ids.expand_as(keep)[keep]
    assert cu_seqlens is not None
    positions = segment_positions(cu_seqlens) if position_ids is None else position_ids
    return Packed(input_ids, positions, cu_seqlens, int(cu_seqlens.diff().max()))


def next_token_targets(labels: Tensor, cu_seqlens: Tensor, ignore_index: int = -100) -> Tensor:
    """Shift labels (T,) by one within each packed sequence; a sequence's last position has no target.

    The one guard against learning across a boundary: whatever the labels are, the first token of a sequence is never
    the target of its neighbour's last.
    """
    targets = labels.roll(-1)
    targets[cu_seqlens[1:].long() - 1] = ignore_index
    return targets
