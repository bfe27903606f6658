"""The loader: a batch is a pure function of (seed, position); kill and resume, ranks and epochs follow from that."""

import itertools
import multiprocessing as mp

import pytest
import torch

from minikimi.data import PackedLoader, TooLongError
from minikimi.data.datamodule import PackedData
from minikimi.data.loader import Phases
from minikimi.errors import UserError
from minikimi.processor.processor import Encoded, Processor
from minikimi.sample import Sample
from minikimi.world import PictureWorld

PROCESSOR = Processor.small()


def encode(sample):
    return PROCESSOR.encode(sample.messages, sample.images)


def loader(source, steps=6, tokens=300, patches=600, **options):
    return PackedLoader(source, encode, tokens, patches, steps, **options)


def ids(batches):
    return [batch.sample_ids for batch in batches]


def flat(batches):
    return [i for batch in batches for i in batch.sample_ids]


def same(a, b):
    names = ("input_ids", "positions", "cu_seqlens", "labels", "pixel_values", "grid_hws")
    return a.sample_ids == b.sample_ids and all(torch.equal(getattr(a, n), getattr(b, n)) for n in names)


SOURCES = {"endless": PictureWorld(seed=1), "finite": PictureWorld(seed=1, size=37)}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("killed_at", [0, 1, 4, 6])
def test_killed_and_resumed_gives_the_same_batches(kind, killed_at):
    whole = list(loader(SOURCES[kind]))
    first = loader(SOURCES[kind])
    before = list(itertools.islice(first, killed_at))
    state = first.state_dict()
    second = loader(SOURCES[kind])
    second.load_state_dict(state)
    after = list(second)
    assert state == {"pos": killed_at}
    assert len(before + after) == 6 and all(map(same, before + after, whole))


@pytest.mark.skipif("fork" not in mp.get_all_start_methods(), reason="workers are forked, which this system cannot do")
@pytest.mark.parametrize("kind", SOURCES)
def test_workers_change_nothing_but_who_computes(kind):
    whole, ahead = list(loader(SOURCES[kind])), loader(SOURCES[kind], workers=2)
    first = list(itertools.islice(ahead, 2))
    assert ahead.state_dict() == {"pos": 2}  # what the workers made ahead does not count
    again = loader(SOURCES[kind], workers=2)
    again.load_state_dict(ahead.state_dict())
    both = first + list(again)
    assert len(both) == 6 and all(map(same, both, whole))


def test_the_state_counts_the_batch_in_use_as_done():
    # Lightning saves during the training step of batch n; the resumed run must not repeat it.
    source = loader(SOURCES["endless"])
    iterator = iter(source)
    next(iterator)
    next(iterator)
    assert source.state_dict() == {"pos": 2}


def test_it_is_sized_and_ends_for_good():
    batches = loader(SOURCES["endless"], steps=3)
    assert len(batches) == 3 and len(list(batches)) == 3
    assert list(batches) == []


@pytest.mark.parametrize("kind", SOURCES)
def test_ranks_share_one_global_sequence(kind):
    alone = ids(loader(SOURCES[kind], steps=6))
    ranks = [ids(loader(SOURCES[kind], steps=3, rank=r, world_size=2)) for r in range(2)]
    assert [x for pair in zip(*ranks, strict=True) for x in pair] == alone


@pytest.mark.parametrize("kind", SOURCES)
def test_limits_hold_and_images_stay_whole(kind):
    for batch in loader(SOURCES[kind], steps=8, tokens=200, patches=300):
        assert batch.tokens <= 200 and batch.patches <= 300
        assert batch.patches == int(batch.grid_hws.prod(-1).sum())


def test_batches_are_nearly_full():
    batches = list(loader(SOURCES["endless"], steps=10, tokens=600, patches=10_000))
    assert sum(batch.tokens for batch in batches) > 0.9 * 600 * 10


def test_an_endless_source_is_never_repeated():
    seen = flat(loader(SOURCES["endless"], steps=20))
    assert len(seen) == len(set(seen)) > 50


def test_another_seed_reads_other_samples():
    a, b = (set(flat(loader(SOURCES["endless"], seed=s))) for s in (0, 1))
    assert not a & b


def epochs(seed, size=37, count=3):
    """Sample ids of `count` epochs of a finite world: bins are read until every sample came `count` times."""
    batches = loader(PictureWorld(seed=1, size=size), steps=10_000, seed=seed)
    seen = []
    for batch in batches:
        seen += batch.sample_ids
        if len(seen) >= count * size:
            return seen, batches
    raise AssertionError("ran out of steps")


def test_every_sample_exactly_once_an_epoch():
    seen, _ = epochs(seed=3)
    orders = [seen[e * 37 : (e + 1) * 37] for e in range(3)]
    assert all(len(set(order)) == 37 for order in orders)
    assert orders[0] != orders[1] != orders[2], "each epoch has its own order"
    assert epochs(seed=3)[0] == seen
    assert epochs(seed=4)[0] != seen


def too_long_at(position):
    """Encode as always, but make one sample far too long."""

    def encode_with_a_giant(sample):
        part = encode(sample)
        if sample.id.endswith(f"-{position}"):
            long = torch.ones(1000, dtype=torch.long)
            return Encoded(long, long, part.pixel_values, part.grid_hws)
        return part

    return encode_with_a_giant


def test_a_sample_too_long_is_reported_never_cut():
    source = PictureWorld(seed=1, size=20)
    with pytest.raises(TooLongError, match="world-1-train-7 has 1000 tokens"):
        list(PackedLoader(source, too_long_at(7), 300, 600, 5))
    skipping = PackedLoader(source, too_long_at(7), 300, 600, 5, too_long="skip")
    seen = flat(skipping)
    assert skipping.skipped == {"world-1-train-7"} and "world-1-train-7" not in seen


def test_nothing_fits_at_all():
    for source in SOURCES.values():
        with pytest.raises(ValueError, match="raise"):
            list(loader(source, tokens=5, too_long="skip"))


def test_wrong_arguments():
    with pytest.raises(UserError, match="empty"):
        loader(PictureWorld(size=0))
    with pytest.raises(UserError, match="rank 2"):
        loader(SOURCES["endless"], rank=2, world_size=2)


class Numbered:
    """An endless source without drawing: sample i says only which source it is from."""

    def __init__(self, task, length=2**40):
        self.task, self.length = task, length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return Sample(f"{self.task}-{index}", self.task, [], [], "")


def three_tokens(sample):
    ids = torch.zeros(3, dtype=torch.long)
    return Encoded(ids, ids, torch.zeros(0, 3, 14, 14), torch.zeros(0, 2, dtype=torch.long))


def phased(steps, rank=0, world_size=1):
    return PackedLoader(Phases([Numbered(name) for name in "abc"]), three_tokens, 10, 0, steps, 5, rank, world_size)


def tasks(batches):
    """The source of each batch, from the ids of its samples; a batch is never mixed."""
    seen = [{i[0] for i in batch.sample_ids} for batch in batches]
    assert all(len(each) == 1 for each in seen)
    return "".join(next(iter(each)) for each in seen)


@pytest.mark.parametrize(
    ("steps", "ranks", "expected"),
    [
        (9, 1, ["aaabbbccc"]),
        (7, 1, ["aaabbcc"]),  # thirds end after 7/3 and 14/3 batches: what begins within a part belongs to it
        (2, 1, ["ab"]),
        (6, 2, ["aabbcc", "aabbcc"]),
        (4, 2, ["aabc", "abbc"]),  # batches 2n + rank of 8: thirds end after 8/3 and 16/3
    ],
)
def test_each_source_is_used_in_its_part_of_the_stage(steps, ranks, expected):
    assert [tasks(phased(steps, rank, ranks)) for rank in range(ranks)] == expected


@pytest.mark.parametrize("killed_at", [0, 2, 3, 5])
@pytest.mark.parametrize("ranks", [1, 2])
def test_phases_resume_exactly(killed_at, ranks):
    for rank in range(ranks):
        whole, first, second = (phased(6, rank, ranks) for _ in range(3))
        before = list(itertools.islice(first, killed_at))
        second.load_state_dict(first.state_dict())
        assert ids(before) + ids(second) == ids(whole)


def test_ranks_share_one_sequence_of_phases():
    alone = ids(phased(8))
    ranks = [ids(phased(4, rank, 2)) for rank in range(2)]
    assert [batch for pair in zip(*ranks, strict=True) for batch in pair] == alone


def test_no_sample_of_a_phase_comes_twice():
    seen = flat(phased(9))
    assert len(set(seen)) == len(seen) == 27


@pytest.mark.parametrize("sources", [[], [Numbered("a"), Numbered("b", 100)]])
def test_phases_are_endless_sources(sources):
    with pytest.raises(UserError, match="at least one source, and all of them endless"):
        Phases(sources)


def test_a_list_of_mixtures_makes_phases():
    data = PackedData("chat", 200, 200, 4, [{"flag": 1}, {"arithmetic": 1}], seed=3)
    pictures = [batch.patches for batch in data.train_dataloader()]
    assert [p > 0 for p in pictures] == [True, True, False, False]
