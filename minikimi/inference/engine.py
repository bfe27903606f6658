"""The inference engine: many requests at once on one model, tokens as they come (lesson 17).

    engine = Engine(model, slots=8, capacity=4096, chunk=2048, decode=processor.decode)
    engine.submit(Request(prompt, max_new_tokens=64, sampling=Sampling(0.8, seed=1)))    # at any time
    while not engine.idle:
        for request, token in engine.step():                                  # admit, read a chunk, decode one token
            ...
    engine.run(requests)         # submit these and step until they have ended
    engine.cancel(request)       # frees its slot at once
    engine.facts()               # slots used, queue, cache bytes, tokens a second

Chat, server, evaluation and rollouts all use it. What a request gets does not depend on who shares the batch. One
thread at a time may call it. The parts: `request`, `sampling`, `scheduler` (the host side: who runs when) and `runner`
(the device side: prefill in chunks, decoding steps, graphs).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from minikimi.errors import UserError
from minikimi.inference.request import Request
from minikimi.inference.runner import Runner
from minikimi.inference.scheduler import Said, Scheduler
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.text.special_tokens import stop_ids

RECENT_STEPS = 64  # of which `facts` tells the speed


class Engine:
    """A model that answers requests.

    Args:
        model: its weights are used as they are at each step.
        slots: how many requests run at one time; more wait.
        capacity: the longest prompt and answer together; None: the model's context, at most 4,096.
        chunk: tokens of prompts read in a step. Smaller: running answers pause for less time, and less memory.
        decode: ids to text, `Processor.decode`; needed only for requests with `stop_texts`.
        banned: (V,) ids that are never said; None: the image placeholder alone.
        overlap: launch the next step before the last one is read; None: on CUDA.
        absorbed: decode from latents; False expands keys and values (lesson 05 compares them).
        record_experts: note the experts of every token, for requests that ask for them.
    """

    @torch.inference_mode()
    def __init__(
        self,
        model: KimiVL,
        slots: int = 8,
        capacity: int | None = None,
        chunk: int = 2048,
        decode: Callable[[list[int]], Any] | None = None,
        banned: Tensor | None = None,
        overlap: bool | None = None,
        absorbed: bool = True,
        record_experts: bool = False,
    ) -> None:
        text = model.config.text_config
        self.context = text.max_position_embeddings
        self.capacity = min(capacity or 4096, self.context)
        self.media, self.stops, self.decode = (
            model.config.media_placeholder_token_id,
            stop_ids(text.eos_token_id),
            decode,
        )
        if banned is None:
            banned = torch.arange(text.vocab_size) == self.media
        self.runner = Runner(model, slots, self.capacity, banned, absorbed, record_experts)
        overlap = model.device.type == "cuda" if overlap is None else overlap
        self.scheduler = Scheduler(self.runner, slots, self.capacity, chunk, overlap)
        self.recent: deque[tuple[float, int]] = deque(maxlen=RECENT_STEPS)  # seconds and tokens of the last steps

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return self.scheduler.idle

    def submit(self, request: Request) -> Request:
        """Put a request in the queue. Raises `UserError` if it cannot be answered here."""
        prompt, new = len(request.tokens), request.max_new_tokens
        if prompt < 1:
            raise UserError("a prompt is empty; give at least one token")
        if new < 1:
            raise UserError(f"max_new_tokens {new}: need at least 1")
        if prompt + new > self.capacity:
            what = f"context of {self.context}" if self.capacity == self.context else f"engine's {self.capacity}"
            raise UserError(f"{prompt} prompt tokens + {new} new ones exceed the {what}; shorten one of them")
        if request.stop_texts and (self.decode is None or not all(request.stop_texts)):
            raise ValueError("stop_texts must not be empty, and need an engine with `decode`")
        if request.record_experts and not self.runner.recorder.routers:
            raise ValueError("record_experts needs an engine that records them")
        request.attach(self.media, self.stops, self.decode)
        self.scheduler.waiting.append(request)
        return request

    def cancel(self, request: Request) -> None:
        """End a request now; its slot is free for the next. One that has ended stays as it is."""
        with torch.inference_mode():
            self.scheduler.cancel(request)

    @torch.inference_mode()
    def step(self) -> Said:
        """One step for all: the tokens that came, each with its request, of which some are now finished."""
        begin = time.perf_counter()
        said = self.scheduler.step()
        self.recent.append((time.perf_counter() - begin, len(said)))
        return said

    def run(self, requests: Sequence[Request], progress: Callable[[int], None] = lambda ended: None) -> None:
        """Submit requests and step until they have all ended; `progress` is told how many just have."""
        for request in requests:
            self.submit(request)
        left = sum(not request.finish for request in requests)
        while left:
            self.step()
            before, left = left, sum(not request.finish for request in requests)
            if before > left:
                progress(before - left)

    def self_check(self) -> None:
        """Raise `RuntimeError` where the books are wrong; done by itself whenever the engine falls idle."""
        self.scheduler.self_check()

    def facts(self) -> dict[str, float]:
        """Slots and how many of them run, requests that wait, bytes of cache and pictures, tokens a second of late."""
        cache, images = self.runner.cache, self.runner.images
        seconds = sum(s for s, _ in self.recent)
        return {
            "slots": len(self.scheduler.slots),
            "running": sum(s.request is not None for s in self.scheduler.slots),
            "waiting": len(self.scheduler.waiting),
            "capacity": self.capacity,
            "cache_bytes": sum(layer.nbytes for layer in cache.layers),
            "cache_bytes_used": sum(s.read for s in self.scheduler.slots)
            * sum(layer[0, 0].nbytes for layer in cache.layers),
            "image_bytes": images.bytes,
            "tokens_per_second": sum(n for _, n in self.recent) / seconds if seconds else 0.0,
        }
