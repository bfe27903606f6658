"""The device side of the engine: prefill in chunks, and one decoding step for all slots (lesson 17).

The buffers never move: cache, the token each slot reads next, temperature, top-p. So a step on CUDA is captured once in
a graph for a few numbers of slots, lazily, and replayed: without it, a step of the official model is bound by the
launch of its thousands of kernels. Slots that are not running compute along, harmlessly: what they write lands behind
the entries that count, and their length does not grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minikimi.inference.experts import ExpertRecorder
from minikimi.inference.images import ImageFeatures
from minikimi.inference.request import Picture
from minikimi.inference.sampling import Sampling, choose
from minikimi.model import ops
from minikimi.model.attention import LatentCache
from minikimi.model.kimi_vl import KimiVL, place_features
from minikimi.model.patches import cumulative_lengths

GRAPHS = (1, 2, 4, 8, 16, 32, 64, 128)  # numbers of slots that a step is captured for


@dataclass
class Piece:
    """Tokens of one prompt to be read into a slot: `ids` (n,) from position `start` on."""

    slot: int
    start: int
    ids: Sequence[int]
    pictures: Sequence[Picture]  # all those of the prompt


@dataclass
class Outcome:
    """What a step gives for B slots, on its way to the host."""

    tokens: Tensor  # (B,)
    log_probs: Tensor  # (B,) of the tokens
    best: tuple[Tensor, Tensor] | None  # likeliest ids (B, n) and their log-probabilities
    arrived: Any  # the event after which the host may read

    def wait(self) -> Outcome:
        if self.arrived is not None:
            self.arrived.synchronize()
        return self


class Runner:
    """A model, `slots` rows of cache of `capacity` entries, and what else a step reads and writes."""

    def __init__(
        self, model: KimiVL, slots: int, capacity: int, banned: Tensor, absorbed: bool, record_experts: bool
    ) -> None:
        text, self.device, self.model = model.config.text_config, model.device, model
        dtype, kind = model.language_model.lm_head.weight.dtype, self.device.type
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
        self.cache = LatentCache(text, slots, capacity, self.device, dtype)
        self.banned, self.absorbed = banned.to(self.device), absorbed
        self.token = torch.zeros(slots, dtype=torch.int64, device=self.device)
        self.growing = torch.zeros(slots, dtype=torch.int32, device=self.device)  # 1 where a slot is running
        self.temperature = torch.zeros(slots, device=self.device)
        self.top_p = torch.ones(slots, device=self.device)
        self.uniform = torch.zeros(slots, dtype=torch.float64, device=self.device)
        self.images = ImageFeatures(model)
        self.recorder = ExpertRecorder(model, record_experts)
        layers = len(self.recorder.routers)
        shape = (slots, capacity, layers, text.num_experts_per_tok) if layers else (0,)
        self.experts = torch.zeros(shape, dtype=torch.int16, device=self.device)
        self.grown: list[bool] = [False] * slots  # what `growing` holds
        self.graphs: dict[tuple[int, bool, bool], tuple[torch.cuda.CUDAGraph, tuple[Tensor, Tensor]]] = {}
        self.captures = self.device.type == "cuda" and ops.triton_chosen(self.token)

    def begin(self, slot: int, length: int, token: int, sampling: Sampling) -> None:
        """A slot keeps its first `length` entries; `token` is what its first decoding step will read."""
        self.cache.lengths[slot], self.token[slot] = length, token
        self.temperature[slot], self.top_p[slot] = sampling.temperature, sampling.top_p

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` entries of a slot to another, which then holds these."""
        for layer in self.cache.layers:
            layer[target, :length] = layer[source, :length]
        if self.recorder.routers:
            self.experts[target, :length] = self.experts[source, :length]
        self.cache.lengths[target] = length

    def move(self, source: int, target: int, length: int) -> None:
        """Let a running slot go on in another row."""
        self.copy(source, target, length)
        for state in (self.token, self.temperature, self.top_p):
            state[target] = state[source]
        self.cache.lengths[source] = 0

    def prefill(self, pieces: Sequence[Piece]) -> None:
        """Read the pieces in one packed pass into their slots."""
        lengths = [len(piece.ids) for piece in pieces]
        starts, slots = [piece.start for piece in pieces], [piece.slot for piece in pieces]
        ids = torch.tensor([i for piece in pieces for i in piece.ids], device=self.device)
        x = self.model.language_model.model.embed_tokens(ids)
        features = self.features(pieces)
        if features:
            x = place_features(x, ids, torch.cat(features), self.model.config.media_placeholder_token_id)
        bounds = cumulative_lengths(torch.tensor(lengths)).to(self.device)
        with self.recorder as recorder:
            self.model.language_model.model.prefill(x, bounds, max(lengths), self.cache, slots, starts)
            if recorder.routers:
                for piece, chosen in zip(pieces, recorder.take().split(lengths), strict=True):
                    self.experts[piece.slot, piece.start : piece.start + len(chosen)] = chosen

    def features(self, pieces: Sequence[Piece]) -> list[Tensor]:
        """The image features that the placeholders of the pieces take, in order."""
        seen = []
        for piece in pieces:
            for picture in piece.pictures:
                a, b = np.searchsorted(picture.places, [piece.start, piece.start + len(piece.ids)])
                if a < b:
                    seen.append((picture, slice(a, b)))
        found = self.images.of([picture for picture, _ in seen])
        return [features[part] for features, (_, part) in zip(found, seen, strict=True)]

    def launch(
        self, growing: Sequence[bool], uniform: np.ndarray, longest: int, greedy: bool, nucleus: bool, best: int
    ) -> Outcome:
        """One decoding step for the first len(growing) slots, of which only the `growing` ones really step.

        `uniform` are their random numbers; none of these slots holds more than `longest` entries; `best` likeliest ids
        are wanted of each.
        """
        batch = len(growing)
        if list(growing) != self.grown[:batch] or any(self.grown[batch:]):
            self.grown = [*growing, *[False] * (len(self.grown) - batch)]
            self.growing.copy_(torch.tensor(self.grown), non_blocking=True)
        if not greedy:
            self.uniform[:batch].copy_(torch.from_numpy(uniform), non_blocking=True)
        if self.captures:
            size = min(next((n for n in GRAPHS if n >= batch), batch), len(self.grown))
            tokens, log_probs = self.replay(size, greedy, nucleus)
        else:
            tokens, log_probs = self.step(batch, longest + 1, greedy, nucleus)
        chosen = log_probs.gather(1, tokens[:, None])[:, 0]
        top = log_probs.topk(best, dim=-1) if best else None
        if self.device.type == "cpu":
            return Outcome(tokens, chosen, (top.indices, top.values) if top else None, None)
        home = [t.to("cpu", non_blocking=True) for t in (tokens, chosen, *(top or ()))]
        arrived = torch.cuda.Event()
        arrived.record()
        return Outcome(home[0], home[1], (home[3], home[2]) if top else None, arrived)

    def step(self, batch: int, longest: int, greedy: bool, nucleus: bool) -> tuple[Tensor, Tensor]:
        """Embed, decode, head, choose, all on the device: tokens (B,) and log-probabilities (B, V)."""
        language, cache = self.model.language_model, self.cache.part(batch, longest)
        growing, token = self.growing[:batch], self.token[:batch]
        places = cache.lengths.long()
        with self.recorder as recorder:
            x = language.model.embed_tokens(token)
            hidden = language.model.decode(x, cache, self.absorbed, growing)
            if recorder.routers:
                self.experts[torch.arange(batch, device=self.device), places] = recorder.take()
        said, log_probs = choose(
            language.lm_head(hidden),
            self.temperature[:batch],
            self.top_p[:batch],
            self.uniform[:batch],
            self.banned,
            greedy,
            nucleus,
        )
        token.copy_(torch.where(growing > 0, said, token))
        return said, log_probs

    def replay(self, batch: int, greedy: bool, nucleus: bool) -> tuple[Tensor, Tensor]:
        """`step` from a graph, captured when first asked for: in the warm-up before it, no slot grows."""
        key = (batch, greedy, nucleus)
        if key not in self.graphs:
            growing = self.growing.clone()
            self.growing.zero_()
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(2):  # kernels are compiled and tuned before the capture
                    self.step(batch, self.cache.capacity, greedy, nucleus)
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                out = self.step(batch, self.cache.capacity, greedy, nucleus)
            self.graphs[key] = graph, out
            self.growing.copy_(growing)
        graph, out = self.graphs[key]
        graph.replay()
        return out[0].clone(), out[1]

    def chosen_experts(self, slot: int, length: int) -> Tensor:
        """(expert layers, length + 1, K): those of a slot's entries; a last token is never read, so any do for it."""
        read = self.experts[slot, :length].cpu()
        return torch.cat([read, torch.arange(read.shape[-1]).expand(1, *read.shape[1:]).to(read)]).transpose(0, 1)
