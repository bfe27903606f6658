"""`StreamedLoader`: packed batches from a stream, for data sets larger than the disk (lesson 09).

A stream has no index, so nothing can be computed from a position: after a restart the samples already used are read
again and passed over. That is exact but takes time, and the order is that of the files; whatever fits on disk belongs
in `PackedLoader`. A shuffle buffer would lose samples on resume, so there is none: shuffle when writing the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Literal

from minikimi.data.packing import PackedBatch, TooLongError, check_fits, pack, size_of
from minikimi.errors import UserError
from minikimi.processor.processor import Encoded
from minikimi.sample import Sample


class StreamedLoader:
    """A sized iterable of `steps` packed batches from a re-readable stream of samples, started over at its end.

    Rank r of w takes samples r, r + w, r + 2w, ... and packs them in order, greedily; no sample is split or cut. The
    state is one integer, the batches handed out. Limits, `too_long` and `skipped` are those of `PackedLoader`.
    """

    def __init__(
        self,
        samples: Iterable[Sample],
        encode: Callable[[Sample], Encoded],
        max_tokens: int,
        max_patches: int,
        steps: int,
        rank: int = 0,
        world_size: int = 1,
        too_long: Literal["error", "skip"] = "error",
    ) -> None:
        self.samples, self.encode = samples, encode
        self.max_tokens, self.max_patches, self.steps = max_tokens, max_patches, steps
        self.rank, self.world_size, self.too_long = rank, world_size, too_long
        self.pos = 0
        self.skipped: set[str] = set()

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[PackedBatch]:
        """Go on from the current position to the end; after the last batch nothing more comes."""
        for batch in islice(self._bins(), self.pos, self.steps):
            self.pos += 1
            yield pack([encoded for _, encoded in batch], [name for name, _ in batch])

    def state_dict(self) -> dict[str, int]:
        """Batches handed out so far. The same on every rank."""
        return {"pos": self.pos}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Continue after `state_dict["pos"]` batches."""
        self.pos = int(state_dict["pos"])

    def _encoded(self) -> Iterator[tuple[str, Encoded]]:
        """This rank's usable samples, epoch after epoch."""
        while True:
            usable = 0
            for sample in islice(self.samples, self.rank, None, self.world_size):
                encoded = self.encode(sample)
                try:
                    check_fits(sample.id, size_of(encoded), self.max_tokens, self.max_patches)
                except TooLongError:
                    if self.too_long == "error":
                        raise
                    self.skipped.add(sample.id)
                    continue
                usable += 1
                yield sample.id, encoded
            if not usable:
                raise UserError(
                    f"the stream holds no usable sample for rank {self.rank}; give more data or raise the limits"
                )

    def _bins(self) -> Iterator[list[tuple[str, Encoded]]]:
        """Consecutive samples, as many as fit together."""
        members: list[tuple[str, Encoded]] = []
        tokens = patches = 0
        for name, encoded in self._encoded():
            t, p = size_of(encoded)
            if members and (tokens + t > self.max_tokens or patches + p > self.max_patches):
                yield members
                members, tokens, patches = [], 0, 0
            members.append((name, encoded))
            tokens, patches = tokens + t, patches + p
