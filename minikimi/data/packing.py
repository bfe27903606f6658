"""Packing: many conversations in one row, nothing padded, no attention across a boundary (lesson 09).

NaViT packs the patches of many images into one sequence; text is packed the same way. Every sample is fenced off by
`cu_seqlens`: its positions restart at 0, attention stays inside, and `next_token_targets` lets no token predict one of
another sample. So a sample's loss does not depend on its neighbours. The Kimi-VL report (arXiv 2504.07491, section 2.5)
packs on the fly, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor

from minikimi.model.patches import cumulative_lengths, segment_positions
from minikimi.processor.processor import Encoded


class TooLongError(ValueError):
    """A sample alone exceeds a limit of the bin. It is never cut: raise the limit, or leave the sample out."""


@dataclass(frozen=True)
class PackedBatch:
    """S samples with N images in one row of T tokens."""

    input_ids: Tensor  # (T,) int64
    cu_seqlens: Tensor  # (S + 1,) int32: sample s is [cu_seqlens[s], cu_seqlens[s + 1])
    labels: Tensor  # (T,) int64: token t where it is learnt, else -100 (not shifted, as in Hugging Face)
    pixel_values: Tensor  # (P, 3, 14, 14) float32
    grid_hws: Tensor  # (N, 2) int64, rows and columns of patches of each image
    sample_ids: list[str]  # S of them, so that a run can be replayed and compared

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Self:
        """The same batch with every tensor on `device`."""
        return replace(self, **{name: t.to(device, non_blocking=non_blocking) for name, t in self._tensors().items()})

    def pin_memory(self) -> Self:
        """The same batch in page-locked memory, for copies to a GPU that overlap with work."""
        return replace(self, **{name: t.pin_memory() for name, t in self._tensors().items()})

    def _tensors(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}

    @property
    def positions(self) -> Tensor:
        """(T,) int64, counted within each sample."""
        return segment_positions(self.cu_seqlens)

    @property
    def tokens(self) -> int:
        """T, the number of text positions."""
        return self.input_ids.numel()

    @property
    def patches(self) -> int:
        """P, the number of image patches."""
        return self.pixel_values.shape[0]


def size_of(encoded: Encoded) -> tuple[int, int]:
    """(text positions, image patches) that one encoded sample takes in a bin."""
    return len(encoded.input_ids), len(encoded.pixel_values)


def check_fits(sample_id: str, size: tuple[int, int], max_tokens: int, max_patches: int) -> None:
    """Raise TooLongError, naming the sample, if it could not even stand alone in a bin."""
    tokens, patches = size
    if tokens > max_tokens or patches > max_patches:
        raise TooLongError(
            f"sample {sample_id} has {tokens} tokens and {patches} patches, a bin holds {max_tokens}, {max_patches}; "
            "raise max_tokens or max_patches, or leave the sample out (too_long='skip')"
        )


def pack(encoded: Sequence[Encoded], sample_ids: Sequence[str] | None = None) -> PackedBatch:
    """Join encoded samples into one batch, in the order given. `sample_ids` defaults to `"0", "1", ...`.

    Raises ValueError when there is no sample or the ids do not match.
    """
    ids = [str(i) for i in range(len(encoded))] if sample_ids is None else list(sample_ids)
    if not encoded or len(ids) != len(encoded):
        raise ValueError(f"pack needs at least one sample and one id for each, got {len(encoded)} and {len(ids)}")
    return PackedBatch(
        input_ids=torch.cat([e.input_ids for e in encoded]),
        cu_seqlens=cumulative_lengths(torch.tensor([len(e.input_ids) for e in encoded])),
        labels=torch.cat([e.labels for e in encoded]),
        pixel_values=torch.cat([e.pixel_values for e in encoded]),
        grid_hws=torch.cat([e.grid_hws for e in encoded]),
        sample_ids=ids,
    )


def fill(sizes: Iterable[tuple[int, int]], max_tokens: int, max_patches: int) -> Iterator[int]:
    """Yield 0, 1, 2, ... for as long as the samples of these (tokens, patches) all fit into one bin together."""
    tokens = patches = 0
    for i, (t, p) in enumerate(sizes):
        tokens, patches = tokens + t, patches + p
        if tokens > max_tokens or patches > max_patches:
            return
        yield i


@dataclass
class _Bin:
    """An open bin: what is in it, and what still fits."""

    tokens: int
    patches: int
    members: list[int] = field(default_factory=list)

    def takes(self, size: tuple[int, int]) -> bool:
        return size[0] <= self.tokens and size[1] <= self.patches

    def add(self, index: int, size: tuple[int, int]) -> None:
        self.tokens -= size[0]
        self.patches -= size[1]
        self.members.append(index)


def first_fit(
    sizes: Mapping[int, tuple[int, int]], order: Iterable[int], max_tokens: int, max_patches: int
) -> list[list[int]]:
    """Put each sample of `order` into the first open bin that takes it, else open a new one.

    At most 32 bins are open, the oldest is closed first, so a pass is linear in the number of samples.

    Args:
        sizes: (tokens, patches) by index of the sample; each must fit alone.
        order: indices, in the order in which samples are put.
        max_tokens: text positions of a bin.
        max_patches: image patches of a bin.

    Returns:
        Bins of indices; each index of `order` is in exactly one.
    """
    bins: list[_Bin] = []
    for i in order:
        chosen = next((b for b in bins[-32:] if b.takes(sizes[i])), None)
        if chosen is None:
            chosen = _Bin(max_tokens, max_patches)
            bins.append(chosen)
        chosen.add(i, sizes[i])
    return [b.members for b in bins]
