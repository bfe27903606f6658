"""Prompts and responses in one packed row; a problem's images are encoded once for all its responses (lesson 14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minikimi.data.packing import PackedBatch, pack
from minikimi.model.kimi_vl import KimiVL, next_token_targets
from minikimi.model.moe import Routing
from minikimi.processor.processor import IGNORE_INDEX, Encoded
from minikimi.rl.policy import Policy


@dataclass(frozen=True)
class SharedBatch(PackedBatch):
    """S sequences about fewer problems: the image tensors hold each problem's images once."""

    feature_index: Tensor  # (M,) for each media token of the row, in order, the image feature it takes


@dataclass(frozen=True)
class RolloutBatch(SharedBatch):
    """Responses with what the loss needs. Labels stand on the newest segments only."""

    reference: Tensor  # (T,) log-probability of each labelled token when it was sampled
    advantages: Tensor  # (S,) reward minus the mean of its problem
    weights: Tensor  # (S,) share in the loss
    experts: Tensor  # (expert layers, T, K), empty if not recorded
    inner: int  # number of the gradient step on these responses, from 0
    metrics: dict[str, float]  # what the rollouts tell, for the log


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
    model: KimiVL, batch: SharedBatch, pinned: list[Tensor] | None = None
) -> tuple[Tensor, list[Routing]]:
    """The forward pass on shared images: hidden states (T, D) and one routing per expert layer."""
    out = model(
        batch.input_ids,
        batch.pixel_values,
        batch.grid_hws,
        cu_seqlens=batch.cu_seqlens,
        pinned=pinned,
        feature_index=batch.feature_index,
    )
    return out.hidden, out.routings


@dataclass
class TokenLogProbs:
    """What a pass says about the N labelled tokens of a row."""

    log_probs: Tensor  # (N,)
    entropy: Tensor  # (N,)
    sequence: Tensor  # (N,) which sequence the token belongs to
    place: Tensor  # (N,) in the row, of the position that predicts the token
    routings: list[Routing]  # one per expert layer

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
