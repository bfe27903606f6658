"""Characters in a row on a sheet: legible, not clipped, some turned and some speckled."""

import numpy as np
import pytest
from PIL import Image
from world_checks import samples

from minikimi.world import holdout
from minikimi.world.vocabulary import BACKGROUNDS
from minikimi.world.writing import fitting


@pytest.mark.parametrize("task", ["number", "word"])
def test_writing_leaves_ink_inside_its_cells(task):
    for sample in samples(task):
        grey = np.asarray(sample.images[0].convert("L")).astype(int)
        paper = np.asarray(Image.new("RGB", (1, 1), BACKGROUNDS[sample.facts["background"]]).convert("L")).astype(int)
        ink = paper - grey > 40
        assert 0.01 < ink.mean() < 0.5
        # Not clipped, and each glyph in its own cell: the first px of every cell and the last of the sheet are paper.
        assert not (ink[::28].any() or ink[-1].any() or ink[:, ::28].any() or ink[:, -1].any()), sample.id


@pytest.mark.parametrize("task", ["number", "word"])
def test_a_quarter_is_turned_and_a_quarter_speckled(task):
    many = samples(task, "train", 600)
    turned, speckled = ([s for s in many if s.facts[key]] for key in ("rotation", "noise"))
    assert 0.19 < len(turned) / 600 < 0.31 and 0.19 < len(speckled) / 600 < 0.31
    assert {np.sign(s.facts["rotation"]) for s in turned} == {-1, 1}
    assert all(4 <= abs(s.facts["rotation"]) <= 10 for s in turned)
    for sample in many:
        grey = np.asarray(sample.images[0].convert("L")).astype(int)
        # The last row of px is paper: of one shade if there is no noise, of many otherwise.
        noise = sample.facts["noise"]
        assert np.ptp(grey[-1]) <= 2 * noise and (len(np.unique(grey[-1])) > 5) == (noise > 0), sample.id


def test_a_text_is_drawn_until_it_is_of_the_split():
    for held_out in (False, True):
        rng = np.random.default_rng(0)
        texts = [fitting(lambda rng=rng: str(rng.integers(0, 1000)), held_out) for _ in range(100)]
        assert all(holdout.text_held_out(text) == held_out for text in texts)
        assert not held_out or min(map(len, texts)) == 3, "shorter numbers stand in sums"
