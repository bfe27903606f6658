"""Exercise 7.7: The whole model (difficulty 3, 5 minutes)

Hint 1: Pixels go through vision_tower and multi_modal_projector, ids through embed_tokens; place_features joins them;
then decoder and lm_head.

Hint 2: hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, longest), where longest =
int(batch.cu_seqlens.diff().max()); return lm_head(hidden).float().

Why: Behind the placing nothing knows about pictures any more: an image is a stretch of tokens in the stream.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from minikimi.data.packing import PackedBatch
from minikimi.lab.cases import filled, numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.lab.lessons.lesson_07.e03_place_features import added
from minikimi.lab.lessons.lesson_07.shared import NANO, PAD
from minikimi.model.kimi_vl import KimiVL, place_features

wrong = Wrongs()


def packed_logits(model: KimiVL, batch: PackedBatch) -> Tensor:
    """Three parts and one placing: a packed batch of T tokens to logits (T, V), float32."""
    decoder = model.language_model.model
    features = model.multi_modal_projector(model.vision_tower(batch.pixel_values, batch.grid_hws))
    x = decoder.embed_tokens(batch.input_ids)
    x = place_features(x, batch.input_ids, features, model.config.media_placeholder_token_id)
    longest = int(batch.cu_seqlens.diff().max())
    hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, longest)
    return model.language_model.lm_head(hidden).float()


def pack_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Three conversations, pictures of unlike shapes in the first two; a batch of one would hide most mistakes.
    ids = torch.tensor([5, PAD, PAD, 8, 3 + seed, PAD, PAD, PAD, 1, 70, 2, 9])
    bounds = torch.tensor([0, 5, 9, 12], dtype=torch.int32)
    grids = torch.tensor([[2, 4], [6, 2]])
    return [
        (PackedBatch(ids, bounds, ids, numbers(seed, 20, 3, 14, 14), grids, ["a", "b", "c"]),),
        (PackedBatch(ids[:5], bounds[:2], ids[:5], numbers(seed + 1, 8, 3, 14, 14), grids[:1], ["a"]),),
    ]


@torch.no_grad()
def run_model(answer, batch: PackedBatch) -> Tensor:
    return answer(filled(KimiVL, NANO), batch)


@wrong(
    "no fence between conversations",
    "Pass all of batch.cu_seqlens to the decoder. With [0, T] every conversation reads the ones before it.",
)
def no_fence(model: KimiVL, batch: PackedBatch) -> Tensor:
    return packed_logits(model, replace(batch, cu_seqlens=batch.cu_seqlens[[0, -1]]))


@wrong(
    "features added to the placeholders",
    "place_features puts a feature in the place of the placeholder's embedding; you add the two.",
)
def added_features(model: KimiVL, batch: PackedBatch) -> Tensor:
    embed, decoder = model.language_model.model.embed_tokens, model.language_model.model
    features = model.multi_modal_projector(model.vision_tower(batch.pixel_values, batch.grid_hws))
    x = added.answer(embed(batch.input_ids), batch.input_ids, features, PAD)
    hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, int(batch.cu_seqlens.diff().max()))
    return model.language_model.lm_head(hidden).float()


@wrong(
    "pictures left out",
    "The embeddings of <|media_pad|> are still in the stream. Place the projected features there.",
)
def pictures_left_out(model: KimiVL, batch: PackedBatch) -> Tensor:
    decoder = model.language_model.model
    x = decoder.embed_tokens(batch.input_ids)
    hidden, _ = decoder(x, batch.positions, batch.cu_seqlens, int(batch.cu_seqlens.diff().max()))
    return model.language_model.lm_head(hidden).float()


@wrong("the final norm twice", "The decoder ends with its own norm: give its output to lm_head as it is.")
def norm_twice(model: KimiVL, batch: PackedBatch) -> Tensor:
    head, norm = model.language_model.lm_head, model.language_model.model.norm
    keep = head.forward
    head.forward = lambda hidden: keep(norm(hidden))
    return packed_logits(model, batch)


EXERCISE = Exercise(**words(__doc__), solution=packed_logits, cases=pack_cases, run=run_model, wrong=wrong)
