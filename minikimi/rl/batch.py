"""Prompts and responses in one packed row; a problem's images are encoded once for all its responses (lesson 14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minikimi.data.packing import PackedBatch, pack
from minikimi.model.attention import LatentCache
from minikimi.model.kimi_vl import KimiVL, next_token_targets
from minikimi.model.moe import Routing
from minikimi.processor.processor import IGNORE_INDEX, Encoded, Processor
from minikimi.rl.policy import Policy
from minikimi.sample import Sample


@dataclass(frozen=True)
class SharedBatch(PackedBatch):
    """S sequences about fewer problems. The image tensors hold each problem once; `feature_index` says for each media
    token of the row, in order, which image feature it takes."""

    feature_index: Tensor


@dataclass(frozen=True)
class RolloutBatch(SharedBatch):
    """Responses with what the loss needs: labels on the newest segments only, and

    reference: (T,) log-probability of each labelled token when it was sampled; advantages: (S,) reward minus the mean
    of its problem; weights: (S,) share in the loss; experts: (expert layers, T, K), empty if not recorded; inner:
    number of the gradient step on these responses, from 0; metrics: what the rollouts tell, for the log.
    """

    reference: Tensor
    advantages: Tensor
    weights: Tensor
    experts: Tensor
    inner: int
    metrics: dict[str, float]


def encode_prompt(processor: Processor, sample: Sample) -> Encoded:
    """The conversation up to the answer, with the assistant's turn opened."""
    inputs = processor(sample.messages[:-1], sample.images, add_generation_prompt=True)
    ids = inputs["input_ids"][0]
    pixels = inputs.get("pixel_values", torch.empty(0, 3, 14, 14))
    grids = inputs.get("image_grid_hws", torch.empty(0, 2, dtype=torch.int64))
    return Encoded(ids, torch.full_like(ids, IGNORE_INDEX), pixels, grids)


def join(
    prompts: Sequence[Encoded], owners: Sequence[int], tails: Sequence[Sequence[int]], starts: Sequence[int], media: int
) -> SharedBatch:
    """Sequence s is prompt `owners[s]` followed by the ids `tails[s]`, with labels on the tail from `starts[s]` on.

    `media` is the id of the image placeholder. Raises `ValueError` if placeholders and image features differ in number.
    """
    sequences = []
    for owner, tail, start in zip(owners, tails, starts, strict=True):
        prompt, ids = prompts[owner], torch.tensor(tail, dtype=torch.int64)
        labels = torch.cat([prompt.labels, ids.masked_fill(torch.arange(len(ids)) < start, IGNORE_INDEX)])
        none = (prompt.pixel_values[:0], prompt.grid_hws[:0])
        sequences.append(Encoded(torch.cat([prompt.input_ids, ids]), labels, *none))
    packed = pack(sequences)
    counts = [int(p.grid_hws.prod(dim=1).sum()) // 4 for p in prompts]
    features = torch.arange(sum(counts)).split(counts)
    index = torch.cat([features[owner] for owner in owners])
    places = int((packed.input_ids == media).sum())
    if places != len(index):
        raise ValueError(f"{places} image placeholders in the sequences, {len(index)} image features; they must agree")
    fields = {**vars(packed), "pixel_values": torch.cat([p.pixel_values for p in prompts])}
    return SharedBatch(**{**fields, "grid_hws": torch.cat([p.grid_hws for p in prompts])}, feature_index=index)


def hidden_states(
    model: KimiVL, batch: SharedBatch, pinned: list[Tensor] | None = None, cache: LatentCache | None = None
) -> tuple[Tensor, list[Routing]]:
    """The forward pass on shared images: hidden states (T, D) and one routing per expert layer."""
    x = model.language_model.model.embed_tokens(batch.input_ids)
    if batch.patches:
        features = model.image_features(batch.pixel_values, batch.grid_hws)[batch.feature_index]
        places = (batch.input_ids == model.config.media_placeholder_token_id).nonzero()[:, 0]
        x = x.index_put((places,), features.to(x.dtype))
    longest = int(batch.cu_seqlens.diff().max())
    return model.language_model.model(x, batch.positions, batch.cu_seqlens, longest, cache, pinned)


@dataclass
class TokenLogProbs:
    """Of the N labelled tokens: log-probability (N,), entropy (N,), sequence (N,), and place (N,) in the row of the
    position that predicts them; and the routings of the pass."""

    log_probs: Tensor
    entropy: Tensor
    sequence: Tensor
    place: Tensor
    routings: list[Routing]

    def per_sequence(self, values: Tensor, sequences: int) -> Tensor:
        """Sums (S,) of values (N,) over the tokens of each sequence."""
        return values.new_zeros(sequences).index_add(0, self.sequence, values)


def token_log_probs(
    model: KimiVL, policy: Policy, batch: SharedBatch, pinned: list[Tensor] | None = None
) -> TokenLogProbs:
    """What the policy makes of the labelled tokens of a batch."""
    hidden, routings = hidden_states(model, batch, pinned)
    targets = next_token_targets(batch.labels, batch.cu_seqlens)
    place = (targets != IGNORE_INDEX).nonzero()[:, 0]
    head = model.language_model.lm_head.weight
    log_probs, entropy = policy.chosen_log_probs(hidden[place], head, targets[place])
    sequence = torch.bucketize(place, batch.cu_seqlens[1:].to(place), right=True)
    return TokenLogProbs(log_probs, entropy, sequence, place, routings)
