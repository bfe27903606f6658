"""Hugging Face tables both ways, offline, and what strangers' data may not do."""

import json

import numpy as np
import pytest
from PIL import Image

from minikimi.data import PackedLoader, StreamedLoader
from minikimi.data.hf import SampleStream, load_samples, to_dataset, to_sample
from minikimi.errors import UserError
from minikimi.processor.processor import Processor
from minikimi.world import PictureWorld

WORLD = PictureWorld(seed=8, tasks={"caption": 1, "number": 1, "sum": 1})
PROCESSOR = Processor.small()


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def encode(sample):
    return PROCESSOR.encode(sample.messages, sample.images)


def assert_same(read, sample):
    for name in ("id", "task", "messages", "answer", "caption", "solution", "question"):
        assert getattr(read, name) == getattr(sample, name), name
    assert len(read.images) == len(sample.images)
    for a, b in zip(read.images, sample.images, strict=True):
        assert np.array_equal(np.asarray(a), np.asarray(b))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The first twelve samples as a saved data set and as parquet."""
    folder = tmp_path_factory.mktemp("data")
    table = to_dataset(WORLD, 12)
    table.save_to_disk(folder / "saved")
    (folder / "parquet").mkdir()
    table.to_parquet(folder / "parquet" / "part-0.parquet")
    return folder


@pytest.mark.parametrize("where", ["saved", "parquet", "parquet/part-0.parquet"])
def test_round_trip(saved, where):
    table = load_samples(saved / where)
    assert len(table) == 12
    for i in (0, 5, 11):
        assert_same(table[i], WORLD[i])


def test_worked_steps_are_kept_and_further_questions_left_out(saved):
    solved = [i for i in range(12) if WORLD[i].solution]
    table = load_samples(saved / "saved")
    assert solved and all(table[i].solution == WORLD[i].solution for i in solved)
    asked_on = PictureWorld(seed=8, tasks={"where": 1})
    table = to_dataset(asked_on, 3)
    assert table.column_names == ["id", "task", "messages", "images", "answer", "caption", "solution"]
    assert all(asked_on[i].more for i in range(3)) and not to_sample(table[0], "row 0").more
    # A user's table need not have the column.
    assert load_samples(saved / "saved")[0].solution == WORLD[0].solution
    assert to_sample({"images": [], "question": "1+1?", "answer": "2"}, "row 0").solution == ""


@pytest.mark.parametrize("where", ["saved", "parquet"])
def test_streamed_round_trip(saved, where):
    stream = load_samples(saved / where, "train", streaming=True)
    assert isinstance(stream, SampleStream)
    for read, i in zip(stream, range(12), strict=True):
        assert_same(read, WORLD[i])


def test_a_table_is_packed_epoch_by_epoch(saved):
    batches = list(PackedLoader(load_samples(saved / "saved"), encode, 200, 400, 30))
    seen = [i for batch in batches for i in batch.sample_ids][:24]
    assert sorted(seen[:12]) == sorted(seen[12:]) == sorted(WORLD[i].id for i in range(12))


def test_a_stream_is_packed_in_order_resumed_and_shared_by_ranks(saved):
    stream = load_samples(saved / "parquet", "train", streaming=True)
    whole = [b.sample_ids for b in StreamedLoader(stream, encode, 150, 400, 9)]
    flat = [i for ids in whole for i in ids]
    assert len(flat) > 12, "starts over at its end"
    assert flat == [WORLD[i % 12].id for i in range(len(flat))]
    resumed = StreamedLoader(stream, encode, 150, 400, 9)
    resumed.load_state_dict({"pos": 4})
    assert [b.sample_ids for b in resumed] == whole[4:]
    ranks = [StreamedLoader(stream, encode, 150, 400, 3, rank=r, world_size=2) for r in range(2)]
    firsts = [[i for b in rank for i in b.sample_ids][:6] for rank in ranks]
    assert firsts == [[WORLD[i].id for i in range(r, 12, 2)] for r in range(2)]


def test_a_stream_reports_what_is_too_long(saved):
    stream = load_samples(saved / "parquet", "train", streaming=True)
    with pytest.raises(ValueError, match="a bin holds 3, 400"):
        list(StreamedLoader(stream, encode, 3, 400, 2))
    with pytest.raises(UserError, match="no usable sample"):
        list(StreamedLoader(stream, encode, 3, 400, 2, too_long="skip"))
    with pytest.raises(UserError, match="StreamedLoader"):
        PackedLoader(stream, encode, 150, 400, 2)


def photo_folder(folder, **changes):
    """A user's folder: two photos and their metadata, one row changed by `changes`."""
    for name, side in (("a.png", 40), ("b.png", 60)):
        Image.new("RGB", (side, 30), "red").save(folder / name)
    rows = [
        {"images": ["a.png"], "question": "What colour?", "answer": "red"},
        {"image": "b.png", "question": "How wide?", "answer": "60"} | changes,
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return load_samples(folder)


def test_a_folder_of_photos(tmp_path):
    table = photo_folder(tmp_path)
    assert [s.answer for s in table] == ["red", "60"]
    assert [s.images[0].size for s in table] == [(40, 30), (60, 30)]
    assert table[1].question == "How wide?"
    assert encode(table[1]).grid_hws.tolist() == [[4, 6]]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"image": "../secret.png"}, "outside"),
        ({"image": "missing.png"}, "missing.png"),
        ({"image": "metadata.jsonl"}, "row 1"),
        ({"question": None}, "expected `images`"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "robot"),
        ({"messages": [{"role": "user", "content": "no image part"}]}, "0 image parts but there are 1 images"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "video"),
    ],
)
def test_a_bad_row_is_named_in_one_line(tmp_path, changes, named):
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    (tmp_path / "photos").mkdir()
    table = photo_folder(tmp_path / "photos", **changes)
    with pytest.raises(UserError, match="row 1") as error:
        table[1]
    assert named in str(error.value) and "\n" not in str(error.value)


def test_misnamed_columns_say_what_is_expected(tmp_path):
    to_dataset(WORLD, 2).rename_column("images", "pictures").to_parquet(tmp_path / "a.parquet")
    for streaming in (False, True):
        with pytest.raises(UserError, match=r"pictures.*expected `images`.*rename_column"):
            load_samples(tmp_path / "a.parquet", "train", streaming)


def test_what_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no parquet files"):
        load_samples(tmp_path)
    with pytest.raises(UserError, match="cannot be opened"):
        load_samples("nobody/nothing-here")
    (tmp_path / "metadata.jsonl").write_text('{"images": []}\nnot json')
    with pytest.raises(UserError, match="line 2: not JSON"):
        load_samples(tmp_path)


def test_a_conversation_of_several_turns_keeps_its_order():
    row = {
        "images": [],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "1+1?"}]},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "2+2?"},
            {"role": "assistant", "content": "4"},
        ],
    }
    sample = to_sample(row, "row 0")
    assert [m["content"] for m in sample.messages] == ["Be brief.", "1+1?", "2", "2+2?", "4"]
    assert (sample.answer, sample.question, sample.id) == ("4", "2+2?", "row 0")
