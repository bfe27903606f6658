"""A sheet of paper: of the split in size, in cells of one image token, pictures inside their cells."""

import numpy as np
import pytest
from world_checks import samples

from minikimi.world import holdout
from minikimi.world.canvas import CELL, FREE, Canvas, draw_background, draw_resolution

ALONE = ["glyph", "caption", "where", "count", "group", "flag", "number", "word"]  # one image, one answer


@pytest.mark.parametrize("held_out", [False, True])
def test_sizes_are_of_the_split_and_within_their_limits(held_out):
    rng = np.random.default_rng(0)
    for _ in range(300):
        width, height = draw_resolution(rng, (56, 83), (28, 55), held_out)
        assert 56 <= width <= 83 and 28 <= height <= 55
        assert holdout.resolution_held_out(width, height) == held_out


def test_a_sheet_has_room_for_its_cells_and_for_no_more():
    for seed in range(50):
        sheet = Canvas.sheet(np.random.default_rng(seed), 2, 3, False, ["cat"])
        assert [side // CELL for side in sheet.image.size] == [3, 2] and FREE < CELL
        assert not holdout.background_held_out("cat", sheet.background)
    assert Canvas.cells(2, 2) == [(0, 0, 28, 28), (28, 0, 56, 28), (0, 28, 28, 56), (28, 28, 56, 56)]


def test_a_picture_stays_inside_its_cell():
    for seed in range(50):
        canvas = Canvas.blank(np.random.default_rng(seed), (56, 28), "white")
        canvas.paste(np.random.default_rng(seed), "cat", 26, canvas.cells(1, 2)[1])
        ink = np.argwhere((np.asarray(canvas.image) != 255).any(axis=2))
        left, top, right, bottom = canvas.placements[0]["box"]
        assert 28 < left <= ink[:, 1].min() and ink[:, 1].max() < right < 56
        assert 0 < top <= ink[:, 0].min() and ink[:, 0].max() < bottom < 28


def test_a_background_is_known_to_every_picture_that_stands_alone():
    rng = np.random.default_rng(0)
    for _ in range(100):
        background = draw_background(rng, ["cat"], ["dog"], ["sun", "hat"])
        assert not any(holdout.background_held_out(name, background) for name in ("cat", "dog"))


def test_sizes_vary_and_stay_small():
    sizes = [sample.images[0].size for task in ALONE for sample in samples(task, n=75, seed=9)]
    assert len(set(sizes)) > 100
    assert all(28 <= side <= 5 * 28 + 40 for size in sizes for side in size)
    tokens = [-(-w // 28) * -(-h // 28) for w, h in sizes]
    assert min(tokens) == 1 and 3 < np.mean(tokens) < 9 and max(tokens) <= 21
