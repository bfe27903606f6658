"""Needles in a haystack: found by their key, as deep as told, in a text of the asked length."""

import re

import numpy as np
import pytest
from world_checks import BOTH_SPLITS, check_new, samples

from minikimi.processor.processor import Processor
from minikimi.world.needles import needle_scene

NEEDLE = r"The secret number of the (\w+) is (\d\d)\."


@pytest.mark.parametrize("task", ["needle", "needle_512", "needle_2048"])
@BOTH_SPLITS
def test_a_needle_is_found_by_its_key(task, split):
    for sample in samples(task, split, 40):
        pairs = re.findall(NEEDLE, sample.question)
        asked = re.search(r"the (\w+)( have)?\?$", sample.question)[1]
        assert 2 <= len(pairs) <= 4 and dict(pairs)[asked] == sample.answer
        assert len(dict(pairs)) == len({value for _, value in pairs}) == len(pairs), "keys and values are all different"
        assert sample.images == [] and sample.kind == task


@pytest.mark.parametrize("length", [128, 512, 2048, 8000])
@pytest.mark.parametrize("depth", [0.0, 0.25, 0.5, 1.0])
def test_a_needle_lies_as_deep_as_told(length, depth):
    processor = Processor.small()
    scene = needle_scene(np.random.default_rng(5), True, length, depth)
    sentences = re.findall(r"[^.?]+[.?]", scene.question)
    key = scene.facts["key"]
    at = [f"of the {key} is" in sentence for sentence in sentences].index(True)
    costs = [len(processor.tokenizer.encode(s)) for s in sentences[:-1]]
    reached = sum(costs[:at]) / (sum(costs) - costs[at])
    # To the nearest gap between sentences; sentences have up to 16 tokens.
    assert abs(reached - depth) <= 10 / (sum(costs) - costs[at])
    assert reached == pytest.approx(scene.facts["depth"], abs=2 / length)
    chat = [{"role": "user", "content": scene.question}, {"role": "assistant", "content": scene.answer}]
    assert length - 20 < len(processor.encode(chat).input_ids) <= length
    if depth in (0.0, 1.0):
        assert at == (0 if depth == 0 else len(sentences) - 2)


def test_other_needles_lie_anywhere():
    # Were the asked one always first or last of the needles, position would do instead of the key.
    places = [list(dict(re.findall(NEEDLE, s.question))).index(s.facts["key"]) for s in samples("needle", "train", 400)]
    assert 0.3 < np.mean([place == 0 for place in places]) < 0.5


def test_impossible_needles_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="20 tokens are too few"):
        needle_scene(rng, False, 20)
    with pytest.raises(ValueError, match=r"depth 1\.5"):
        needle_scene(rng, False, 128, 1.5)


def combinations(sample):
    needles = dict(sample.facts["needles"])
    return [(sample.facts["key"], needles.pop(sample.facts["key"])), *needles.items()]


@pytest.mark.parametrize(("task", "n"), [("needle", 2000), ("needle_512", 1000), ("needle_2048", 500)])
def test_the_pair_of_key_and_value_is_new(task, n):
    check_new(task, combinations, n, known=task == "needle")
