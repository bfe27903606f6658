"""Text generation with the latent cache (lessons 05 and 07).

One packed pass over the prompts, then one token per sequence and step. Pixels are needed only in the first pass. Steps
use absorbed decoding, which reads the small latent cache and never expands keys or values. Greedy by default; Kimi-VL's
own advice is temperature 0.2 for Instruct and 0.8 for Thinking models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from minikimi.model.attention import LatentCache
from minikimi.processor.text.special_tokens import stop_ids as default_stop_ids

if TYPE_CHECKING:
    from minikimi.model.kimi_vl import KimiVL


@torch.inference_mode()
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
    if max_new_tokens < 1 or temperature < 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"max_new_tokens {max_new_tokens}, temperature {temperature}, top_p {top_p}: need >= 1, >= 0 and (0, 1]"
        )
    text = model.config.text_config
    stops = default_stop_ids(text.eos_token_id) if stop_ids is None else stop_ids
    stop = torch.tensor(stops, dtype=torch.int64, device=input_ids.device)
    lengths = input_ids.shape[1] if attention_mask is None else attention_mask.sum(dim=1)
    longest = int(torch.as_tensor(lengths).max())
    if int(torch.as_tensor(lengths).min()) < 1:
        raise ValueError("a prompt is empty; give at least one token")
    if longest + max_new_tokens > text.max_position_embeddings:
        raise ValueError(
            f"{longest} prompt tokens + {max_new_tokens} new ones exceed the context of {text.max_position_embeddings}"
        )
    batch = len(input_ids)
    weight = model.language_model.model.embed_tokens.weight
    cache = LatentCache(text, batch, longest + max_new_tokens, weight.device, weight.dtype)
    out = model(input_ids, pixel_values, image_grid_hws, attention_mask, cache=cache)
    ends = cache.lengths.cumsum(0).long() - 1
    logits = model.language_model.lm_head(out.hidden[ends]).float()  # (B, V)
    new, done = [], torch.zeros(batch, dtype=torch.bool, device=input_ids.device)
    for step in range(max_new_tokens):
        logits[:, model.config.media_placeholder_token_id] = -torch.inf
        token = sample(logits, temperature, top_p, generator).masked_fill(done, text.pad_token_id)
        new.append(token)
        done = done | torch.isin(token, stop)
        if step + 1 == max_new_tokens or bool(done.all()):
            break
        x = model.language_model.model.embed_tokens(token)
        hidden = model.language_model.model.decode(x, cache, absorbed)
        logits = model.language_model.lm_head(hidden).float()
    return torch.stack(new, dim=1)


def sample(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator | None) -> Tensor:
    """One id per row of (B, V): the best one at temperature 0, else drawn from the smallest set of mass `top_p`."""
    if temperature == 0:
        return logits.argmax(dim=-1)
    probs, order = (logits / temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    probs = probs.masked_fill(probs.cumsum(dim=-1) - probs >= top_p, 0.0)
    return order.gather(1, torch.multinomial(probs, 1, generator=generator))[:, 0]
