"""A lone picture or flag: in the first cell, on a background of the split."""

import numpy as np
import pytest

from minikimi.world import holdout
from minikimi.world.lone import draw_alone


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("name", ["cat", "Japan"])
def test_it_stands_in_the_first_cell_on_a_background_of_the_split(name, held_out):
    for seed in range(40):
        canvas = draw_alone(np.random.default_rng(seed), name, (22, 26), held_out)
        (placed,) = canvas.placements
        left, top, right, bottom = placed["box"]
        assert placed["name"] == name and left > 0 and top > 0 and right < 28 and bottom < 28
        assert 21 <= max(right - left, bottom - top) <= 26
        assert holdout.background_held_out(name, canvas.background) == held_out
        assert holdout.resolution_held_out(*canvas.image.size) == held_out
