"""Packed batches from a stream: in order, shared by ranks, resumed exactly, nothing cut."""

import itertools

import pytest
import torch

from minikimi.data import StreamedLoader, TooLongError
from minikimi.errors import UserError
from minikimi.processor.processor import Encoded
from minikimi.sample import Sample

LENGTHS = [3, 4, 2, 6, 1]


def encode(sample: Sample) -> Encoded:
    """As many tokens as the sample's answer says."""
    ids = torch.zeros(int(sample.answer), dtype=torch.long)
    return Encoded(ids, ids, torch.zeros(0, 3, 14, 14), torch.zeros(0, 2, dtype=torch.long))


def loader(tokens: int = 7, steps: int = 6, **options) -> StreamedLoader:
    samples = [Sample(str(i), "toy", [], [], str(n)) for i, n in enumerate(LENGTHS)]
    return StreamedLoader(samples, encode, tokens, 0, steps, **options)


def ids(batches) -> list[list[str]]:
    return [batch.sample_ids for batch in batches]


def test_consecutive_samples_as_many_as_fit_over_the_end() -> None:
    """Tokens 3 + 4 | 2 | 6 + 1 | 3 + 4 | ...: at most 7."""
    assert ids(loader()) == [["0", "1"], ["2"], ["3", "4"]] * 2


def test_ranks_share_the_stream() -> None:
    ranks = [[i for batch in ids(loader(rank=r, world_size=2)) for i in batch][:4] for r in range(2)]
    assert ranks == [["0", "2", "4", "0"], ["1", "3", "1", "3"]]


@pytest.mark.parametrize("killed_at", [0, 1, 4, 6])
def test_killed_and_resumed_gives_the_same_batches(killed_at: int) -> None:
    first, second = loader(), loader()
    before = ids(itertools.islice(first, killed_at))
    second.load_state_dict(first.state_dict())
    assert before + ids(second) == ids(loader()) and list(second) == []


def test_a_sample_too_long_is_an_error_or_named_never_cut() -> None:
    with pytest.raises(TooLongError, match="6 tokens"):
        list(loader(tokens=5))
    skipping = loader(tokens=5, too_long="skip")
    assert "3" not in {i for batch in ids(skipping) for i in batch} and skipping.skipped == {"3"}
    with pytest.raises(UserError, match="no usable sample for rank 0"):
        list(loader(tokens=0, too_long="skip"))
