"""The picture world as a data set: reproducible anywhere, mixed as told, wrong arguments named."""

import hashlib
import subprocess
import sys

import pytest

from minikimi.errors import UserError
from minikimi.world import TASKS, PictureWorld, art


def fingerprint(sample):
    """Everything a model could see or learn of a sample."""
    texts = [sample.id, sample.task, sample.question, sample.answer, sample.caption, sample.solution, str(sample.more)]
    return hashlib.sha256(b"".join(i.tobytes() for i in sample.images) + "|".join(texts).encode()).hexdigest()


def test_order_and_caches_do_not_matter():
    forwards = [fingerprint(PictureWorld(seed=1)[i]) for i in range(40)]
    art.picture.cache_clear()
    world = PictureWorld(seed=1)
    backwards = [fingerprint(world[i]) for i in reversed(range(40))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 40


@pytest.mark.slow
def test_another_process_draws_the_same():
    # Python's own hash() differs between processes: a rule built on it would pass every test inside one process.
    code = (
        "import hashlib; from minikimi.world import PictureWorld; h = hashlib.sha256();"
        "w = PictureWorld(5, 'held_out');"
        "[h.update(str(s.messages).encode() + b''.join(i.tobytes() for i in s.images)) for s in map(w.__getitem__, "
        "range(90))]; print(h.hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    world, here = PictureWorld(5, "held_out"), hashlib.sha256()
    for i in range(90):
        here.update(str(world[i].messages).encode() + b"".join(image.tobytes() for image in world[i].images))
    assert there == here.hexdigest()


def test_seed_and_split_change_the_world():
    worlds = [PictureWorld(0), PictureWorld(1), PictureWorld(0, "held_out")]
    assert len({fingerprint(world[7]) for world in worlds}) == 3


def test_the_default_mixture_has_every_short_task_equally_often():
    world = PictureWorld(seed=9)
    assert {TASKS[task].group for task in set(TASKS) - set(world.weights)} == {"long"}
    assert set(world.weights.values()) == {1.0}
    assert {world[i].task for i in range(300)} == set(world.weights)


def test_weights_set_the_mixture():
    world = PictureWorld(tasks={"count": 3, "word": 1, "flag": 0})
    tasks = [world[i].task for i in range(400)]
    assert set(tasks) == {"count", "word"}
    assert 0.68 < tasks.count("count") / 400 < 0.82


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"tasks": {"cuont": 1}}, "cuont"),
        ({"tasks": {"count": -1}}, "-1"),
        ({"tasks": {"count": 0}}, "empty"),
        ({"split": "test"}, "test"),
    ],
)
def test_wrong_arguments_are_named(arguments, named):
    with pytest.raises(UserError, match=named):
        PictureWorld(**arguments)


def test_a_finite_world_ends():
    world = PictureWorld(size=5)
    assert len(world) == 5 and len(list(world)) == 5
    with pytest.raises(IndexError):
        world[5]
