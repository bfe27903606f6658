"""`PackedLoader`: packed batches from any indexable source, exactly resumable on any number of ranks (lesson 09).

Nothing about a batch is remembered, everything is computed: batch n of rank r is number g = n * world_size + r of one
global sequence, and that sequence is a pure function of the seed. So the state of a run is one integer, a killed run
replays the same batches, and no random-number state has to be saved. The Kimi-VL report (arXiv 2504.07491, section
2.5) asks the same of its loader: after a restart, the identical sequence of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Literal, Protocol

import numpy as np
from torch.utils.data import DataLoader, Dataset

from minikimi.data.packing import PackedBatch, TooLongError, check_fits, fill, first_fit, pack, size_of
from minikimi.errors import UserError
from minikimi.processor.processor import Encoded
from minikimi.sample import Sample

FINITE_BELOW = 2**31  # a source of this length or more is never exhausted, so it has no epochs


class Source(Protocol):
    """What the loader reads: a length and samples by index, the same sample for the same index every time."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sample: ...


class Phases:
    """Several endless sources one after another, each for an equal part of the stage.

    So a mixture can change while a model trains: text before pictures, small pictures before large ones.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources or any(len(source) < FINITE_BELOW for source in sources):
            raise UserError("phases need at least one source, and all of them endless")
        self.sources = list(sources)

    def __len__(self) -> int:
        return len(self.sources[0])

    def at(self, share: float) -> Source:
        """The source in use when `share` (0 to 1) of the stage is done."""
        return self.sources[min(int(share * len(self.sources)), len(self.sources) - 1)]


class PackedLoader:
    """A sized iterable of `steps` packed batches that remembers only its position.

    An endless source (2**31 samples or more) is read in stretches: batch g takes samples from g * max_tokens on until
    the next one does not fit, so no sample is ever seen twice. A finite source is encoded once to learn its lengths,
    then every epoch packs all its samples, shuffled by (seed, epoch), each exactly once.

    Args:
        source: `PictureWorld`, a loaded `datasets` table, any sequence of samples, or `Phases` of them.
        encode: sample -> `Encoded`, e.g. `lambda sample: forms.encode(proc, sample, "chat")`.
        max_tokens: text positions of a batch.
        max_patches: image patches of a batch.
        steps: number of batches.
        seed: of the order.
        rank: the data-parallel rank.
        world_size: of how many.
        too_long: what to do with a sample that alone exceeds a limit: `error` raises `TooLongError`, `skip` leaves it
            out and notes its id in `skipped`; it is never cut.
        workers: processes that compute batches ahead, where a GPU would wait for them; the batches are the same. They
            are forked (Linux, macOS), and what they skip is not noted in `skipped`.

    Raises:
        UserError: the source is empty or a stream, or there is no such rank.
    """

    def __init__(
        self,
        source: Source | Phases,
        encode: Callable[[Sample], Encoded],
        max_tokens: int,
        max_patches: int,
        steps: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        too_long: Literal["error", "skip"] = "error",
        workers: int = 0,
    ) -> None:
        if not hasattr(source, "__len__"):
            raise UserError(
                "this source is a stream, it has no length; use StreamedLoader, or load it without streaming"
            )
        if len(source) == 0:
            raise UserError("the data source is empty; nothing to train on")
        if not 0 <= rank < world_size:
            raise UserError(f"rank {rank} does not exist in a world of {world_size}")
        self.source, self.encode = source, encode
        self.max_tokens, self.max_patches = max_tokens, max_patches
        self.steps, self.seed, self.too_long, self.workers = steps, seed, too_long, workers
        self.rank, self.world_size = rank, world_size
        self.pos = 0
        self.skipped: set[str] = set()
        self._bins = lru_cache(maxsize=2)(self._pack_epoch)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[PackedBatch]:
        """Go on from the current position to the end; after the last batch nothing more comes."""
        for batch in self._from(self.pos):
            self.pos += 1  # before the yield: a state saved while this batch is in use counts it as done
            yield batch

    def _from(self, pos: int) -> Iterable[PackedBatch]:
        """Batches `pos` to the end, computed here or, in the same order, by the workers."""
        ahead = range(pos, self.steps)
        if not self.workers:
            return map(self.batch, ahead)
        if len(self.source) < FINITE_BELOW:
            self._bins(0)  # learn the lengths once, before the fork
        return DataLoader(
            _Numbered(self), batch_size=None, sampler=ahead, num_workers=self.workers, multiprocessing_context="fork"
        )

    def state_dict(self) -> dict[str, int]:
        """Batches handed out so far. The same on every rank."""
        return {"pos": self.pos}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue after `state_dict["pos"]` batches."""
        self.pos = int(state_dict["pos"])

    def batch(self, n: int) -> PackedBatch:
        """Batch n of this rank, whatever was read before."""
        g = n * self.world_size + self.rank
        return self._endless_batch(g) if len(self.source) >= FINITE_BELOW else self._finite_batch(g)

    def _fits(self, sample_id: str, size: tuple[int, int]) -> bool:
        """Whether the sample can be used at all; raises TooLongError unless too long samples are skipped."""
        try:
            check_fits(sample_id, size, self.max_tokens, self.max_patches)
        except TooLongError:
            if self.too_long == "error":
                raise
            self.skipped.add(sample_id)
            return False
        return True

    @cached_property
    def _offset(self) -> int:
        """Where in an endless source this seed begins."""
        return int(np.random.SeedSequence(self.seed).generate_state(1, np.uint64)[0] % len(self.source))

    def _stretch(self, g: int) -> Iterator[tuple[str, Encoded]]:
        """Candidates of batch g of an endless source: samples that could stand alone, at most max_tokens."""
        source = self.source
        if isinstance(source, Phases):
            source = source.at(g / (self.steps * self.world_size))
        for k in range(self.max_tokens):
            sample = source[(self._offset + g * self.max_tokens + k) % len(source)]
            encoded = self.encode(sample)
            if self._fits(sample.id, size_of(encoded)):
                yield sample.id, encoded

    def _endless_batch(self, g: int) -> PackedBatch:
        taken: list[tuple[str, Encoded]] = []

        def sizes() -> Iterator[tuple[int, int]]:
            for candidate in self._stretch(g):
                taken.append(candidate)
                yield size_of(candidate[1])

        count = sum(1 for _ in fill(sizes(), self.max_tokens, self.max_patches))
        if count == 0:
            raise TooLongError(
                f"none of {self.max_tokens} samples fits into {self.max_tokens} tokens; raise the limits"
            )
        ids, encoded = zip(*taken[:count], strict=True)  # the one that did not fit is discarded, never saved
        return pack(encoded, ids)

    @cached_property
    def _sizes(self) -> dict[int, tuple[int, int]]:
        """(tokens, patches) of every usable sample of a finite source, by index."""
        assert not isinstance(self.source, Phases)  # phases are endless
        sizes = {}
        for i in range(len(self.source)):
            sample = self.source[i]
            size = size_of(self.encode(sample))
            if self._fits(sample.id, size):
                sizes[i] = size
        if not sizes:
            raise UserError(
                f"no sample fits into {self.max_tokens} tokens and {self.max_patches} patches; raise the limits"
            )
        return sizes

    def _pack_epoch(self, epoch: int) -> list[list[int]]:
        """The bins of one epoch: a pure function of (seed, epoch) and the lengths."""
        usable = list(self._sizes)
        order = np.random.default_rng([self.seed, epoch]).permutation(len(usable))
        return first_fit(self._sizes, [usable[i] for i in order], self.max_tokens, self.max_patches)

    def _finite_batch(self, g: int) -> PackedBatch:
        assert not isinstance(self.source, Phases)
        epoch = 0
        while g >= len(self._bins(epoch)):
            g -= len(self._bins(epoch))
            epoch += 1
        samples = [self.source[i] for i in self._bins(epoch)[g]]
        return pack([self.encode(s) for s in samples], [s.id for s in samples])


class _Numbered(Dataset[PackedBatch]):
    """A loader's batches by number, as torch's worker processes ask for them."""

    def __init__(self, loader: PackedLoader) -> None:
        self.loader = loader

    def __getitem__(self, n: int) -> PackedBatch:
        return self.loader.batch(n)
