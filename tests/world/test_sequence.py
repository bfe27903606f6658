"""Which picture may stand on which of several images."""

import numpy as np

from minikimi.world.holdout import ordinal_held_out
from minikimi.world.sequence import draw_name, draw_names


def test_names_are_different_and_only_the_new_one_is_held_out():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        names = draw_names(rng, [1, 2, 4], new=2)
        assert list(names) == [1, 2, 4] and len(set(names.values())) == 3
        assert [ordinal_held_out(name, number) for number, name in names.items()] == [False, True, False]
        assert not any(ordinal_held_out(name, number) for number, name in draw_names(rng, [1, 2, 3]).items())


def test_a_name_may_stand_on_all_of_its_images():
    for seed in range(50):
        name = draw_name(np.random.default_rng(seed), [1, 2], ["cat", "dog"])
        assert name not in ("cat", "dog") and not ordinal_held_out(name, 1) and not ordinal_held_out(name, 2)
