"""The text stage's objective: pictures told in words, given as pictures will be given (lesson 10).

A picture's vector stands for a whole thing in its place, "helicopter at left": several tokens at once. A language model
that has met only vectors of single tokens would have to be spoken to in single tokens. So here neighbouring words
between the marks of a picture share one vector. That is our own choice, measured in docs/log.md: Moonlight, from which
Kimi-VL starts, read plain text. Noise on input embeddings is known from NEFTune (arXiv 2310.05914).
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import torch
from torch import Tensor

from minikimi.data.packing import PackedBatch
from minikimi.model import ops
from minikimi.model.kimi_vl import KimiVL, next_token_targets
from minikimi.processor.processor import IGNORE_INDEX
from minikimi.processor.text.special_tokens import MEDIA_CONTENT, MEDIA_END, MEDIA_PAD, OFFSETS
from minikimi.training.objectives import PARTS, Loss, NextToken


def between_marks(input_ids: Tensor, media_pad: int) -> Tensor:
    """Which of the ids (T,) stand between `<|media_content|>` and `<|media_end|>`: bool (T,).

    The ids of the marks follow from that of `<|media_pad|>`, in a vocabulary of any size.
    """
    begin, end = (media_pad + OFFSETS[mark] - OFFSETS[MEDIA_PAD] for mark in (MEDIA_CONTENT, MEDIA_END))
    opened, closed = (input_ids == begin).cumsum(0), (input_ids == end).cumsum(0)
    return (opened > closed) & (input_ids != begin)


def join(x: Tensor, joins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give each row of x (T, D) that `joins` (T,) the place of the row before it; the first row never joins.

    Returns the rows that are left, (T', D), each the sum of its n rows over sqrt(n), so that it is about as long as one
    of them; n (T',); and the new place of each old row (T,).
    """
    place = (~joins).cumsum(0) - 1
    n = torch.bincount(place)
    return x.new_zeros(len(n), x.shape[1]).index_add(0, place, x) / n.sqrt()[:, None], n, place


class ToldAsSeen(NextToken):
    """`NextToken` on the form `told`, where neighbouring words of a picture share one vector.

    In each sample, every token between the marks joins the one before it with a probability that is drawn for the
    sample, from 0 to 1. A position that several tokens share has no label; all others keep theirs. What is drawn
    follows from the batch's first sample, so a resumed run draws the same.

    Args:
        train: names of the model's parts that are updated.
        aux_loss: weight of the sequence balance loss; None takes `aux_loss_alpha` of the config.
        noise: standard deviation of Gaussian noise on each of these words, relative to its root mean square.
    """

    def __init__(self, train: Sequence[str] = PARTS, aux_loss: float | None = None, noise: float = 0.0) -> None:
        super().__init__(train, aux_loss)
        self.noise = noise

    def loss(self, model: KimiVL, batch: PackedBatch) -> Loss:
        ids, ends = batch.input_ids, batch.cu_seqlens[1:].long()
        generator = torch.Generator().manual_seed(crc32(batch.sample_ids[0].encode()))
        chance = torch.rand(len(ends), generator=generator).to(ids.device)  # on the CPU, so the same on any device
        chance = chance.repeat_interleave(batch.cu_seqlens.diff().long())
        shown = between_marks(ids, model.config.media_placeholder_token_id)
        joins = shown & shown.roll(1) & (torch.rand(len(ids), generator=generator).to(ids.device) < chance)

        decoder, head = model.language_model.model, model.language_model.lm_head
        x = decoder.embed_tokens(ids)
        if self.noise:
            rms = x.detach().square().mean(dim=-1, keepdim=True).sqrt()
            x = x + self.noise * shown[:, None] * rms * torch.randn(x.shape, generator=generator).to(x)
        x, n, place = join(x, joins)
        labels = batch.labels[~joins].masked_fill(n > 1, IGNORE_INDEX)
        cu_seqlens = torch.cat([place.new_zeros(1), place[ends - 1] + 1]).to(torch.int32)
        lengths = cu_seqlens.diff().long()
        positions = torch.arange(len(x), device=ids.device) - cu_seqlens[:-1].repeat_interleave(lengths)

        hidden, routings = decoder(x, positions, cu_seqlens, int(lengths.max()))
        text = ops.linear_cross_entropy(hidden, head.weight, next_token_targets(labels, cu_seqlens))
        return self.with_balance(model, text, routings, cu_seqlens)
