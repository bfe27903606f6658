"""The file of verified solutions: written, read, refused when damaged, and mixed with the world by share."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minikimi.data.datamodule import PackedData
from minikimi.data.solutions import Solutions, save_solutions
from minikimi.errors import UserError
from minikimi.world import PictureWorld

ROW = {"task": "count", "seed": 7, "index": 3, "solution": "cat 1. 1"}


def solved():
    """Samples of two tasks and seeds, with solutions that no drawing program wrote."""
    worlds = [PictureWorld(7, "train", {"count": 1}), PictureWorld(2**40, "train", {"sum": 1})]
    picked = [worlds[0][5], worlds[1][10**9], worlds[0][0]]
    return [replace(sample, solution=f"◁{i}▷ line\n one. {sample.answer}") for i, sample in enumerate(picked)]


def test_round_trip(tmp_path):
    path = tmp_path / "solutions.jsonl"
    save_solutions(path, solved())
    read = Solutions(path)
    assert [p.name for p in tmp_path.iterdir()] == ["solutions.jsonl"] and len(read) == 3
    for i, sample in enumerate(solved()):
        for name in ("id", "task", "messages", "answer", "caption", "solution", "more", "facts"):
            assert getattr(read[i], name) == getattr(sample, name), name
        assert np.array_equal(np.asarray(read[i].images[0]), np.asarray(sample.images[0]))


def test_the_file_holds_no_pictures(tmp_path):
    save_solutions(tmp_path / "a.jsonl", solved()[:1])
    assert json.loads((tmp_path / "a.jsonl").read_text()).keys() == {"task", "seed", "index", "solution"}


DAMAGED = {
    "cut": json.dumps(ROW)[:-5].encode(),
    "no object": b"[1, 2]",
    "no solution": json.dumps({k: v for k, v in ROW.items() if k != "solution"}).encode(),
    "no number": json.dumps(ROW | {"index": "first"}).encode(),
    "no text": b"\xff\xfe" * 5000,
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_in_one_line(tmp_path, damage):
    path = tmp_path / "solutions.jsonl"
    path.write_bytes(DAMAGED[damage])
    with pytest.raises(UserError, match="not a file of solutions") as error:
        Solutions(path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message and len(message) < 400 and "run the stage again" in message


def test_a_missing_or_empty_file_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"absent\.jsonl: not found; train the stage sft first"):
        Solutions(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(UserError, match=r"empty\.jsonl: holds no solution"):
        Solutions(tmp_path / "empty.jsonl")


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_they_are_mixed_with_the_world_by_share(tmp_path, share):
    path = tmp_path / "solutions.jsonl"
    save_solutions(path, solved())
    data = PackedData("think", 400, 400, 3, {"flag": 1}, solutions=str(path), solutions_share=share, seed=1)
    source = data.source()
    drawn = [source[i] for i in range(400)]
    from_file = [s for s in drawn if s.task != "flag"]
    assert abs(len(from_file) / 400 - share) < 0.07
    assert {s.id for s in from_file} == {s.id for s in solved()}, "each of them, again and again"
    texts = [data.processor.decode(batch.input_ids) for batch in data.train_dataloader()]
    assert sum(text.count("◁think▷") for text in texts) == sum(text.count("line\n one. ") for text in texts) > 0


@pytest.mark.parametrize("other", [{"tasks": [{"flag": 1}, {"count": 1}]}, {"dataset": "somewhere"}])
def test_they_are_not_silently_left_out(tmp_path, other):
    path = tmp_path / "solutions.jsonl"
    save_solutions(path, solved())
    with pytest.raises(UserError, match="one mixture of tasks"):
        PackedData("think", 400, 400, 3, **other, solutions=str(path)).source()
