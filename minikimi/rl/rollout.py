"""Rollouts: k responses to each of many problems, sampled together over the latent cache (lesson 14).

* A prompt is read once; its cache is then copied for its k responses.
* A response ends with <|im_end|>, at its longest, or when it turns in circles.
* Finished rows leave the batch, a quarter at a time, since every move copies the cache.
* Partial rollouts: a call adds at most `segment` tokens to a response. Unfinished ones are simply passed in again in
  the next iteration, and their earlier tokens are read as part of the prompt.

Source: Kimi k1.5 report (arXiv 2501.12599), section 2.6.2 for partial rollouts and repetition.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minikimi.model.attention import LatentCache
from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moe import Router
from minikimi.processor.processor import Encoded
from minikimi.rl.batch import hidden_states, join
from minikimi.rl.policy import Policy
from minikimi.rl.response import LENGTH, REPETITION, STOP, Response

WINDOW, LONGEST_CYCLE = 24, 8  # this many last tokens that repeat with a period of up to so many are a loop
ENDS = ("", STOP, LENGTH, REPETITION)


def repeating(recent: Tensor) -> Tensor:
    """Rows (N,) of (N, WINDOW + LONGEST_CYCLE) whose last WINDOW tokens equal those some period earlier."""
    last = recent[:, -WINDOW:]
    loops = torch.zeros(len(recent), dtype=torch.bool, device=recent.device)
    for period in range(1, LONGEST_CYCLE + 1):
        loops |= (last == recent[:, -WINDOW - period : -period]).all(dim=1)
    return loops


class ExpertRecorder:
    """Notes the experts that every router chooses while the `with` block runs."""

    def __init__(self, model: KimiVL, wanted: bool) -> None:
        self.routers = [m for m in model.modules() if isinstance(m, Router)] if wanted else []
        self.chosen: list[Tensor] = []

    def __enter__(self) -> ExpertRecorder:
        self.handles = [router.register_forward_hook(self._note) for router in self.routers]
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self.handles:
            handle.remove()

    def _note(self, router: Any, inputs: Any, routing: Any) -> None:
        self.chosen.append(routing.indices)

    def take(self) -> Tensor:
        """(expert layers, T, K) of the pass since the last call."""
        chosen, self.chosen = self.chosen, []
        return torch.stack(chosen) if chosen else torch.empty(0)


class Board:
    """What the B rows of a rollout write down: tokens and log-probabilities (B, steps), lengths and ends (B,), experts
    (layers, B, steps, K). Rows that are done may go on for a while; nothing behind their length counts."""

    def __init__(self, rows: Sequence[Response], steps: int, max_new_tokens: int, device: torch.device) -> None:
        self.rows = rows
        self.tokens = torch.zeros(len(rows), steps, dtype=torch.int64, device=device)
        self.log_probs = torch.zeros(len(rows), steps, device=device)
        self.length = torch.zeros(len(rows), dtype=torch.int64, device=device)
        self.end = torch.zeros_like(self.length)
        self.room = torch.tensor([max_new_tokens - len(r.ids) for r in rows], device=device)
        self.experts: list[tuple[Tensor, Tensor]] = []  # (rows, experts) of each step
        streams = [np.random.default_rng(r.key).random(max_new_tokens)[len(r.ids) :][:steps] for r in rows]
        padded = [np.pad(s, (0, steps - len(s))) for s in streams]
        self.noise = torch.from_numpy(np.stack(padded)).to(device)
        never = -1 - torch.arange(WINDOW + LONGEST_CYCLE)  # ids that nothing equals, where nothing was said yet
        tails = [torch.cat([never, torch.tensor(r.ids, dtype=torch.int64)])[-len(never) :] for r in rows]
        self.recent = torch.stack(tails).to(device)

    def write(self, step: int, alive: Tensor, token: Tensor, log_prob: Tensor, stop_ids: tuple[int, ...]) -> Tensor:
        """Note one token for the rows `alive`; returns which of these go on."""
        self.tokens[alive, step], self.log_probs[alive, step] = token, log_prob
        self.recent[alive] = torch.cat([self.recent[alive, 1:], token[:, None]], dim=1)
        stopped = torch.isin(token, torch.tensor(stop_ids, device=token.device))
        end = torch.where(self.room[alive] <= step + 1, ENDS.index(LENGTH), 0)
        end = end.masked_fill(repeating(self.recent[alive]), ENDS.index(REPETITION))
        end = end.masked_fill(stopped, ENDS.index(STOP))
        running = self.length[alive] == 0
        done = alive[running & (end > 0)]
        self.length[done], self.end[done] = step + 1, end[running & (end > 0)]
        return self.length[alive] == 0

    def close(self, prefix_experts: Sequence[Tensor]) -> None:
        """Hand everything over to the responses."""
        steps = self.tokens.shape[1]
        length = torch.where(self.length == 0, steps, self.length).tolist()
        tokens, log_probs, ends = self.tokens.tolist(), self.log_probs.tolist(), self.end.tolist()
        for i, response in enumerate(self.rows):
            response.start = len(response.ids)
            response.ids += tokens[i][: length[i]]
            response.log_probs += log_probs[i][: length[i]]
            response.end = ENDS[ends[i]]
        if prefix_experts:
            self._close_experts(prefix_experts, length)

    def _close_experts(self, prefix_experts: Sequence[Tensor], length: list[int]) -> None:
        layers, _, top_k = prefix_experts[0].shape
        said = torch.arange(top_k).repeat(layers, *self.tokens.shape, 1)  # a last token is never read: any experts do
        for step, (rows, experts) in enumerate(self.experts):
            said[:, rows.cpu(), step] = experts.cpu()
        for i, response in enumerate(self.rows):
            response.experts = torch.cat([prefix_experts[i].cpu(), said[:, i, : length[i]]], dim=1).to(torch.int16)


def select(cache: LatentCache, rows: Tensor) -> None:
    """Keep (or repeat) these sequences of a cache."""
    cache.layers = [layer[rows] for layer in cache.layers]
    cache.lengths = cache.lengths[rows]


@torch.no_grad()
def rollout(
    model: KimiVL,
    policy: Policy,
    prompts: Sequence[Encoded],
    responses: Sequence[Sequence[Response]],
    max_new_tokens: int,
    segment: int | None = None,
    record_experts: bool = False,
) -> None:
    """Go on with every unfinished response, in place, by at most `segment` tokens, to `max_new_tokens` in all.

    `responses[i]` belong to `prompts[i]`. Raises `ValueError` if a context would not fit the model.
    """
    work = [(p, r) for p, group in enumerate(responses) for r in group if not r.end]
    if not work:
        return
    rows = [r for _, r in work]
    prefixes = list(dict.fromkeys((p, tuple(r.ids)) for p, r in work))  # equal beginnings are read once
    number = {prefix: i for i, prefix in enumerate(prefixes)}
    owner = torch.tensor([number[p, tuple(r.ids)] for p, r in work], device=model.device)
    steps = min(segment or max_new_tokens, max_new_tokens - min(len(r.ids) for r in rows))
    tails = [ids for _, ids in prefixes]
    media = model.config.media_placeholder_token_id
    batch = join(prompts, [p for p, _ in prefixes], tails, [len(t) for t in tails], media).to(model.device)
    text, head = model.config.text_config, model.language_model.lm_head
    capacity = int(batch.cu_seqlens.diff().max()) + steps
    if capacity > text.max_position_embeddings:
        raise ValueError(f"{capacity} tokens of prompt and response exceed the context {text.max_position_embeddings}")
    cache = LatentCache(text, len(prefixes), capacity, model.device, head.weight.dtype)
    board = Board(rows, steps, max_new_tokens, model.device)
    with ExpertRecorder(model, record_experts) as recorder:
        hidden, _ = hidden_states(model, batch, cache=cache)
        read = recorder.take().split(batch.cu_seqlens.diff().tolist(), dim=1) if record_experts else ()
        hidden = hidden[batch.cu_seqlens[1:].long() - 1][owner]
        select(cache, owner)
        alive = torch.arange(len(rows), device=model.device)
        for step in range(steps):
            log_probs = policy.log_probs(head(hidden))
            token = policy.draw(log_probs, board.noise[alive, step])
            goes_on = board.write(step, alive, token, log_probs.gather(1, token[:, None])[:, 0], policy.stop_ids)
            if step + 1 == steps or not bool(goes_on.any()):
                break
            if int(goes_on.sum()) <= 0.75 * len(alive):
                alive, token = alive[goes_on], token[goes_on]
                select(cache, goes_on.nonzero()[:, 0])
            hidden = model.language_model.model.decode(model.language_model.model.embed_tokens(token), cache)
            if record_experts:
                board.experts.append((alive, recorder.take()))
    board.close([read[i] for i in owner.tolist()] if record_experts else [])
