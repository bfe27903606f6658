"""Text generation for a batch of prompts (lessons 05 and 07): what `KimiVL.generate` does, on the engine.

Greedy by default; Kimi-VL's own advice is temperature 0.2 for Instruct and 0.8 for Thinking models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from minikimi.inference.engine import Engine
from minikimi.inference.request import Request
from minikimi.inference.sampling import Sampling
from minikimi.processor.processor import Encoded

if TYPE_CHECKING:
    from minikimi.model.kimi_vl import KimiVL


def generate(
    model: KimiVL,
    input_ids: Tensor,
    pixel_values: Tensor | None = None,
    image_grid_hws: Tensor | None = None,
    attention_mask: Tensor | None = None,
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    stop_ids: tuple[int, ...] | None = None,
    generator: torch.Generator | None = None,
    absorbed: bool = True,
) -> Tensor:
    """Continue prompts (B, T) by at most `max_new_tokens`: the new ids (B, n), `pad_token_id` after a sequence's end.

    Sampling stops at `stop_ids`, by default [EOS] and <|im_end|>; the stop id is returned; `stop_ids=()` never stops.
    The image placeholder is never sampled. Raises `ValueError` for an empty prompt, a context beyond the model's, or
    options out of range.
    """
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens {max_new_tokens}: need at least 1")
    seed = int(torch.randint(2**62, (), generator=generator)) if temperature else 0
    keep = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    prompts = split(model, input_ids, keep.bool(), pixel_values, image_grid_hws)
    requests = [
        Request(prompt, max_new_tokens, Sampling(temperature, top_p, (seed, row)), stop_ids)
        for row, prompt in enumerate(prompts)
    ]
    longest = max(len(request.tokens) for request in requests)
    context = model.config.text_config.max_position_embeddings
    Engine(model, len(requests), min(longest + max_new_tokens, context), absorbed=absorbed).run(requests)
    new = [torch.tensor(request.ids) for request in requests]
    pad = model.config.text_config.pad_token_id
    return torch.nn.utils.rnn.pad_sequence(new, batch_first=True, padding_value=pad).to(input_ids.device)


def split(
    model: KimiVL, input_ids: Tensor, keep: Tensor, pixel_values: Tensor | None, image_grid_hws: Tensor | None
) -> list[Encoded]:
    """The prompts of a padded batch (B, T), each with its own pictures.

    Raises `ValueError` if placeholders and features do not match.
    """
    grids = torch.empty(0, 2, dtype=torch.int64) if image_grid_hws is None else image_grid_hws.cpu()
    pixels = torch.empty(0) if pixel_values is None else pixel_values
    patches = grids.prod(dim=1)
    out, pictures, begin = [], 0, 0
    for ids in (row[mask].cpu() for row, mask in zip(input_ids, keep, strict=True)):
        places, first, start = 4 * int((ids == model.config.media_placeholder_token_id).sum()), pictures, begin
        while begin - start < places and pictures < len(grids):
            begin, pictures = begin + int(patches[pictures]), pictures + 1
        out.append(Encoded(ids, torch.full_like(ids, -100), pixels[start:begin], grids[first:pictures]))
    if pictures < len(grids) or begin != len(pixels):
        raise ValueError(f"{len(pixels) // 4} image features, but the text has placeholders for {begin // 4}")
    return out
