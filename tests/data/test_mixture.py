"""Several sources as one: by weight, and the same sample at the same index."""

import pytest

from minikimi.data.mixture import Mixture
from minikimi.errors import UserError
from minikimi.world import PictureWorld


def test_a_mixture_keeps_its_weights_and_its_promise():
    words = PictureWorld(seed=5, tasks={"word": 1}, size=10)
    counts = PictureWorld(seed=6, tasks={"count": 1})
    mixture = Mixture([words, counts], [1, 3], seed=2)
    drawn = [mixture[i] for i in range(400)]
    assert 0.18 < sum(s.task == "word" for s in drawn) / 400 < 0.32
    assert {s.id for s in drawn if s.task == "word"} == {words[i].id for i in range(10)}
    assert [mixture[i].id for i in (399, 0)] == [drawn[399].id, drawn[0].id]
    assert {Mixture([words, counts], [0, 1])[i].task for i in range(50)} == {"count"}
    for weights in ([1], [1, -1], [0, 0]):
        with pytest.raises(UserError, match="weight"):
            Mixture([words, counts], weights)
