"""Packing: nothing lost, nothing cut, nothing leaking over a boundary."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minikimi.data import TooLongError, pack
from minikimi.data.packing import check_fits, fill, first_fit, size_of
from minikimi.model.kimi_vl import next_token_targets
from minikimi.processor.processor import Encoded, Processor
from minikimi.world import PictureWorld

LIMITS = (40, 60)
SIZES = st.lists(st.tuples(st.integers(1, LIMITS[0]), st.integers(0, LIMITS[1])), min_size=1, max_size=120)


def encoded(length, images=(), first_label=-100):
    """A sample of `length` distinct tokens, all learnt but the first, with images of the given (h, w) patches."""
    ids = torch.arange(length) + 100 * length
    labels = ids.clone()
    labels[0] = first_label
    grids = torch.tensor(images, dtype=torch.long).reshape(-1, 2)
    patches = int(grids.prod(-1).sum())
    return Encoded(ids, labels, torch.full((patches, 3, 14, 14), float(length)), grids)


def test_a_packed_row_taken_apart_is_the_samples():
    parts = [encoded(5, [(2, 4)]), encoded(1), encoded(7, [(2, 2), (4, 2)])]
    batch = pack(parts, ["a", "b", "c"])
    assert batch.cu_seqlens.tolist() == [0, 5, 6, 13] and batch.cu_seqlens.dtype == torch.int32
    assert batch.positions.tolist() == [0, 1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 5, 6]
    assert batch.grid_hws.tolist() == [[2, 4], [2, 2], [4, 2]]
    assert batch.pixel_values.shape == (8 + 4 + 8, 3, 14, 14)
    assert batch.pixel_values[:, 0, 0, 0].tolist() == [5.0] * 8 + [7.0] * 12
    for part, start, end in zip(parts, batch.cu_seqlens[:-1], batch.cu_seqlens[1:], strict=True):
        assert torch.equal(batch.input_ids[start:end], part.input_ids)
        assert torch.equal(batch.labels[start:end], part.labels)
    assert batch.sample_ids == ["a", "b", "c"]
    assert (batch.tokens, batch.patches) == (13, 20)


def test_no_label_is_predicted_across_a_boundary():
    # A text without a prompt is learnt from its first token on; that token has nothing before it to predict it from.
    batch = pack([encoded(4, first_label=400), encoded(3, first_label=300)])
    assert batch.labels.tolist() == [400, 401, 402, 403, 300, 301, 302]
    assert next_token_targets(batch.labels, batch.cu_seqlens).tolist() == [401, 402, 403, -100, 301, 302, -100]


def test_text_only():
    batch = pack([encoded(3)])
    assert batch.pixel_values.shape == (0, 3, 14, 14) and batch.grid_hws.shape == (0, 2)


def test_to_moves_every_tensor_and_keeps_the_ids():
    moved = pack([encoded(3, [(2, 2)])], ["x"]).to("meta")
    assert moved.sample_ids == ["x"]
    for name in ("input_ids", "cu_seqlens", "labels", "pixel_values", "grid_hws"):
        assert getattr(moved, name).device.type == "meta", name


@pytest.mark.parametrize(("parts", "ids"), [([], []), ([encoded(2)], ["a", "b"])])
def test_nothing_to_pack_or_ids_missing(parts, ids):
    with pytest.raises(ValueError, match="one id for each"):
        pack(parts, ids)


def test_too_long_names_the_sample_and_both_limits():
    check_fits("ok", (40, 60), *LIMITS)
    for size in [(41, 0), (1, 61)]:
        with pytest.raises(TooLongError, match=r"sample photo-7 .*40, 60.*max_tokens"):
            check_fits("photo-7", size, *LIMITS)


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_first_fit_keeps_every_sample_whole_and_every_limit(sizes):
    bins = first_fit(dict(enumerate(sizes)), range(len(sizes)), *LIMITS)
    assert sorted(i for members in bins for i in members) == list(range(len(sizes)))
    for members in bins:
        assert members
        assert sum(sizes[i][0] for i in members) <= LIMITS[0]
        assert sum(sizes[i][1] for i in members) <= LIMITS[1]


def test_first_fit_returns_to_open_bins():
    # 30 and 20 tokens cannot share a bin of 40, but 10 goes back to the first: next-fit would open three bins.
    assert first_fit({0: (30, 0), 1: (20, 0), 2: (10, 0)}, [0, 1, 2], *LIMITS) == [[0, 2], [1]]


@settings(max_examples=60, deadline=None)
@given(SIZES)
def test_fill_takes_the_longest_prefix(sizes):
    count = len(list(fill(sizes, *LIMITS)))
    totals = [sum(column) for column in zip(*sizes[: count + 1], strict=True)]
    if count < len(sizes):
        assert totals[0] > LIMITS[0] or totals[1] > LIMITS[1], "one more would have fitted"
    assert sum(t for t, _ in sizes[:count]) <= LIMITS[0] and sum(p for _, p in sizes[:count]) <= LIMITS[1]


def test_a_real_sample_keeps_its_image_and_only_its_answer():
    processor, sample = Processor.small(), PictureWorld(seed=0, tasks={"caption": 1})[0]
    part = processor.encode(sample.messages, sample.images)
    batch = pack([part, part])
    tokens, patches = size_of(part)
    assert batch.patches == 2 * patches == int(batch.grid_hws.prod(-1).sum())
    pads = (batch.input_ids == processor.tokenizer.special_id("<|media_pad|>")).sum()
    assert int(pads) * 4 == batch.patches
    learnt = batch.labels[:tokens][batch.labels[:tokens] != -100]
    assert processor.decode(learnt) == sample.answer
