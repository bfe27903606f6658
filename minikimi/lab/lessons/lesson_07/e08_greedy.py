"""Exercise 7.8: Generate with the cache (difficulty 3, 5 minutes)

Hint 1: In each round: forbid the placeholder, take the likeliest id, keep it, leave the loop if it is a stop id, decode
one step.

Hint 2: logits[:, placeholder] = -torch.inf; token = logits.argmax(dim=-1); ...; logits =
head(decoder.decode(decoder.embed_tokens(token), cache)).float().

Why: The cache remembers prompt and pictures, so a step costs one token. A sampled placeholder would stand for a picture
that does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from minikimi.lab.cases import filled, numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words
from minikimi.lab.lessons.lesson_07.shared import NANO, PAD
from minikimi.model.attention import LatentCache
from minikimi.model.kimi_vl import KimiVL

wrong = Wrongs()


@torch.inference_mode()
def greedy(
    model: KimiVL,
    input_ids: Tensor,
    pixel_values: Tensor | None,
    image_grid_hws: Tensor | None,
    stop_ids: Sequence[int],
    limit: int,
) -> list[int]:
    """Continue one prompt (1, T) with the likeliest token each time: at most `limit` new ids, the stop id included."""
    decoder, head = model.language_model.model, model.language_model.lm_head
    capacity = input_ids.shape[1] + limit
    cache = LatentCache(model.config.text_config, 1, capacity, model.device, head.weight.dtype)
    out = model(input_ids, pixel_values, image_grid_hws, cache=cache)  # prefill: the only pass that sees pixels
    logits = head(out.hidden[-1:]).float()  # (1, V)
    new: list[int] = []
    for _ in range(limit):
        logits[:, model.config.media_placeholder_token_id] = -torch.inf
        token = logits.argmax(dim=-1)
        new.append(int(token))
        if new[-1] in stop_ids:
            break
        logits = head(decoder.decode(decoder.embed_tokens(token), cache)).float()
    return new


def prompt_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # The stop id is the third token that the fixed weights say, so stopping shows; `tempting` is the first, and the
    # placeholder is made likelier than it.
    cases = []
    for i in (seed, seed + 7):
        prompt = torch.tensor([[5, PAD, PAD, 8 + i, 3]]), numbers(i, 8, 3, 14, 14), torch.tensor([[2, 4]])
        free = run_greedy(greedy, *prompt, (), 6, None)
        cases.append((*prompt, (free[2], 1023), 6, free[0]))
    return cases


def run_greedy(answer, ids: Tensor, pixels: Tensor, grids: Tensor, stop_ids, limit: int, tempting: int | None):
    model = filled(KimiVL, NANO)
    if tempting is not None:
        with torch.no_grad():
            model.language_model.lm_head.weight[PAD] = 2 * model.language_model.lm_head.weight[tempting]
    return answer(model, ids, pixels, grids, stop_ids, limit)


def only_words_and_an_end(run, *case) -> None:
    new, stop_ids = run(*case), case[3]
    if PAD in new:
        raise Misfit(f"new token {new.index(PAD)} is the image placeholder, and no picture stands behind it")
    for place, token in enumerate(new[:-1]):
        if token in stop_ids:
            raise Misfit(f"new token {place} is a stop id, but {len(new) - place - 1} more follow it")


@wrong(
    "the placeholder may be said",
    "Set the logit of model.config.media_placeholder_token_id to -inf in every round.",
)
def placeholder_sampled(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit) -> list[int]:
    model.config = replace(model.config, media_placeholder_token_id=0)  # bans another token than the placeholder
    prompt = torch.where(input_ids == PAD, 0, input_ids)
    return greedy(model, prompt, pixel_values, image_grid_hws, stop_ids, limit)


@wrong("goes on after a stop id", "Leave the loop as soon as the new id is in stop_ids.")
def never_stops(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit) -> list[int]:
    return greedy(model, input_ids, pixel_values, image_grid_hws, (), limit)


@wrong(
    "the stop id is swallowed",
    "Keep the stop id before you leave: the caller must see whether the answer ended or was cut off.",
)
def stop_id_swallowed(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit) -> list[int]:
    new = greedy(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit)
    return new[:-1] if new[-1] in stop_ids else new


@wrong("the same token decoded again", "Each step must read the token that was just chosen, not the prompt's last one.")
def prompt_fed_again(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit) -> list[int]:
    decoder = model.language_model.model
    decode, last = decoder.decode, decoder.embed_tokens(input_ids[0, -1:]).detach()
    decoder.decode = lambda x, cache: decode(last, cache)
    return greedy(model, input_ids, pixel_values, image_grid_hws, stop_ids, limit)


properties = (only_words_and_an_end,)
EXERCISE = Exercise(
    **words(__doc__), solution=greedy, cases=prompt_cases, run=run_greedy, properties=properties, wrong=wrong
)
