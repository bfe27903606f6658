"""A request to the engine and what has come of it so far (lesson 17).

    request = Request(prompt, max_new_tokens=64, sampling=Sampling(temperature=0.8, seed=1), candidates_wanted=5)

goes in; `ids`, `log_probs`, `candidates`, `experts` and `finish` come out. `prompt` is what `Processor.encode` gives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from minikimi.inference.sampling import Sampling
from minikimi.processor.processor import Encoded

STOP, LENGTH, REPETITION, CANCELLED = "stop", "length", "repetition", "cancelled"
WINDOW, LONGEST_CYCLE = 24, 8  # this many last tokens that repeat with a period of up to so many are a loop
RECENT = WINDOW + LONGEST_CYCLE


@dataclass(eq=False)
class Request:
    """One prompt to be continued.

    What is asked: prompt: tokens and pictures. max_new_tokens: the longest answer. sampling: how tokens are drawn.
    stop_ids: tokens that end it and are kept as its last; None: [EOS] and <|im_end|>. stop_texts: the answer ends with
    the token that completes one of them (the engine then needs `decode`). candidates_wanted: so many likeliest ids are
    noted with each token. record_experts: note which experts each token chose (the engine must record them).
    said: the last so many ids of the prompt are the beginning of the answer: they count for the random numbers and
    for repetition. end_repetition: end when the answer turns in circles.

    What comes out, growing: ids, log_probs: what was said, the stop token included. candidates: for each token, pairs
    of id and log-probability, likeliest first. finish: "" while unfinished, else stop, length, repetition or cancelled.
    experts: (expert layers, prompt + answer, K) once finished. reused: leading prompt tokens that were not read anew.
    """

    prompt: Encoded
    max_new_tokens: int = 64
    sampling: Sampling = field(default_factory=Sampling)
    stop_ids: Sequence[int] | None = None
    stop_texts: Sequence[str] = ()
    candidates_wanted: int = 0
    record_experts: bool = False
    said: int = 0
    end_repetition: bool = False

    ids: list[int] = field(default_factory=list, init=False)
    log_probs: list[float] = field(default_factory=list, init=False)
    candidates: list[list[tuple[int, float]]] = field(default_factory=list, init=False)
    finish: str = field(default="", init=False)
    experts: Tensor | None = field(default=None, init=False)
    reused: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.tokens: list[int] = self.prompt.input_ids.tolist()
        drawn = self.sampling.temperature > 0
        self.noise = self.sampling.stream(self.said, self.max_new_tokens) if drawn else np.zeros(0)
        self.ends_with: Sequence[int] = self.stop_ids or ()
        self.decode: Callable[[list[int]], str] | None = None

    def attach(self, media: int, stop_ids: Sequence[int], decode: Callable[[list[int]], str] | None) -> None:
        """What the engine knows and a request needs. media: the id of the image placeholder; stop_ids: the default."""
        self.pictures = pictures(self.prompt, media)
        self.keys = keys(self.tokens, self.pictures)
        self.ends_with = stop_ids if self.stop_ids is None else self.stop_ids
        self.decode = decode

    def add(self, token: int, log_prob: float, candidates: list[tuple[int, float]]) -> None:
        """Note a token, and whether the answer ends with it."""
        self.ids.append(token)
        self.log_probs.append(log_prob)
        if self.candidates_wanted:
            self.candidates.append(candidates)
        if token in self.ends_with or (self.stop_texts and self._says_stop_text()):
            self.finish = STOP
        elif self.end_repetition and repeating(self.tokens[len(self.tokens) - self.said :][-RECENT:] + self.ids):
            self.finish = REPETITION
        elif len(self.ids) == self.max_new_tokens:
            self.finish = LENGTH

    def _says_stop_text(self) -> bool:
        assert self.decode is not None
        longest = max(len(text.encode()) for text in self.stop_texts)  # a token is a byte or more
        tail = self.decode(self.ids[-longest - 1 :])
        return any(text in tail for text in self.stop_texts)


def repeating(ids: Sequence[int]) -> bool:
    """Whether the last `WINDOW` ids equal those some period of at most `LONGEST_CYCLE` earlier."""
    last = ids[-WINDOW:]
    periods = range(1, min(LONGEST_CYCLE, len(ids) - WINDOW) + 1)
    return any(last == ids[-WINDOW - period : -period] for period in periods)


@dataclass(frozen=True)
class Picture:
    """A picture of a prompt: where its patches and its placeholders are. name: a hash of its content."""

    name: bytes
    pixel_values: Tensor  # (P, 3, p, p)
    grid_hw: Tensor  # (1, 2)
    places: np.ndarray  # (P / 4,) positions of its placeholders in the prompt


def pictures(prompt: Encoded, media: int) -> list[Picture]:
    """The pictures of a prompt, in order. Raises `ValueError` if placeholders and patches do not match in number."""
    places = (prompt.input_ids == media).nonzero()[:, 0].cpu().numpy()
    patches = prompt.grid_hws.prod(dim=1).tolist()
    if len(places) != sum(patches) // 4 or len(prompt.pixel_values) != sum(patches):
        raise ValueError(
            f"{len(places)} image placeholders in the text, {len(prompt.pixel_values) // 4} image features, "
            f"{sum(patches) // 4} by the grids; they must agree"
        )
    found, begin = [], 0
    for grid, count in zip(prompt.grid_hws, patches, strict=True):
        pixels = prompt.pixel_values[begin : begin + count]
        content = pixels.to("cpu", torch.float32).numpy().tobytes()
        salt = np.array(grid.tolist(), dtype=np.int64).tobytes()
        name = hashlib.blake2b(content, digest_size=8, salt=salt).digest()
        found.append(Picture(name, pixels, grid[None], places[begin // 4 : (begin + count) // 4]))
        begin += count
    return found


def keys(tokens: Sequence[int], seen: Sequence[Picture]) -> np.ndarray:
    """What two prompts must share to share cache entries, int64 (T,): ids, and for placeholders a picture's name."""
    out = np.array(tokens, dtype=np.int64)
    for picture in seen:
        out[picture.places] = -1 - (int.from_bytes(picture.name, "little") >> 2)
    return out
