"""The text stage's objective: pictures told in words, as pictures will give them (lesson 10).

A picture's vector stands for a whole thing at its place, "helicopter at left": several tokens at once. A language model
that has only met vectors of single tokens has to be spoken to in single tokens. So here neighbouring words between the
marks of a picture share one vector. Kimi-VL starts from Moonlight, which was not trained so; this is our own choice,
measured in docs/log.md.
"""

from __future__ import annotations

from zlib import crc32

import torch
from torch import Tensor

from minikimi.data.packing import PackedBatch
from minikimi.model import ops
from minikimi.model.kimi_vl import KimiVL, next_token_targets
from minikimi.model.moe import sequence_aux_loss
from minikimi.processor.processor import IGNORE_INDEX
from minikimi.processor.text.special_tokens import MEDIA_CONTENT, MEDIA_END, MEDIA_PAD, OFFSETS
from minikimi.training.objectives import Loss, NextToken


def between_marks(input_ids: Tensor, media_pad: int) -> Tensor:
    """Which of the ids (T,) stand between `<|media_content|>` and `<|media_end|>`: bool (T,)."""
    begin, end = (media_pad + OFFSETS[mark] - OFFSETS[MEDIA_PAD] for mark in (MEDIA_CONTENT, MEDIA_END))
    opened, closed = (input_ids == begin).cumsum(0), (input_ids == end).cumsum(0)
    return (opened > closed) & (input_ids != begin)


class ToldAsSeen(NextToken):
    """`NextToken` on the form `told`, where neighbouring words of a picture share one vector.

    In each sample every token between the marks joins the one before it with a probability that is drawn for the
    sample, from 0 to 1. Tokens that have joined become one position: their sum, divided by the square root of their
    number so that it is no longer than a word. Such a position has no label; all others keep theirs. What is drawn
    follows from the samples' ids, so a resumed run draws the same.

    Args:
        train: names of the model's parts that are updated.
        aux_loss: weight of the sequence balance loss; None takes `aux_loss_alpha` of the config.
        noise: Gaussian noise on these words before they join, relative to their root mean square.
    """

    def __init__(self, train: list[str], aux_loss: float | None = None, join: float = 1.0, noise: float = 0.0) -> None:
        super().__init__(train, aux_loss)
        self.join, self.noise = join, noise

    def loss(self, model: KimiVL, batch: PackedBatch) -> Loss:
        ids, bounds = batch.input_ids, batch.cu_seqlens.long()
        decoder, head = model.language_model.model, model.language_model.lm_head
        generator = torch.Generator().manual_seed(crc32(batch.sample_ids[0].encode()))
        sample = torch.repeat_interleave(torch.arange(len(bounds) - 1, device=ids.device), bounds.diff())
        chance = self.join * torch.rand(len(bounds) - 1, generator=generator).to(ids.device)[sample]
        shown = between_marks(ids, model.config.media_placeholder_token_id)
        joins = shown & shown.roll(1) & (torch.rand(len(ids), generator=generator).to(ids.device) < chance)

        place = (~joins).cumsum(0) - 1  # of each token among the positions that are left
        count = torch.bincount(place)
        x = decoder.embed_tokens(ids)
        if self.noise:
            rms = x.detach().square().mean(dim=-1, keepdim=True).sqrt()
            noise = torch.randn(x.shape, generator=generator).to(x)
            x = x + self.noise * shown[:, None] * rms * noise
        x = x.new_zeros(len(count), x.shape[1]).index_add(0, place, x) / count.sqrt()[:, None]
        labels = batch.labels[~joins].masked_fill(count > 1, IGNORE_INDEX)
        cu_seqlens = torch.cat([place.new_zeros(1), place[bounds[1:] - 1] + 1]).to(torch.int32)
        lengths = cu_seqlens.diff().long()
        positions = torch.arange(len(x), device=ids.device) - cu_seqlens[:-1].repeat_interleave(lengths)

        hidden, routings = decoder(x, positions, cu_seqlens, int(lengths.max()))
        loss = ops.linear_cross_entropy(hidden, head.weight, next_token_targets(labels, cu_seqlens))
        alpha = model.config.text_config.aux_loss_alpha if self.aux_loss is None else self.aux_loss
        aux = torch.stack([sequence_aux_loss(routing, cu_seqlens) for routing in routings]).sum()
        return Loss(loss + alpha * aux, {"loss_text": loss, "loss_balance": aux}, routings)
