"""The contact sheet shows every sample and gives credit."""

import numpy as np
import pytest
from PIL import Image

from minikimi.data import PictureWorld
from minikimi.data.contact_sheet import CELL, contact_sheet
from minikimi.data.world.vocabulary import CREDIT


def test_every_sample_has_its_cell_and_the_credit_stands_below(tmp_path):
    world = PictureWorld(seed=0)
    path = contact_sheet([world[i] for i in range(5)], tmp_path / "sheet.png", columns=3)
    sheet = np.asarray(Image.open(path).convert("L"))
    assert sheet.shape[1] == 3 * CELL
    height = (sheet.shape[0] - 34) // 2
    cells = [sheet[r * height : (r + 1) * height, c * CELL : (c + 1) * CELL] for r in range(2) for c in range(3)]
    assert [bool((cell < 255).any()) for cell in cells] == [True] * 5 + [False]
    assert all((cell[CELL:] < 100).any() for cell in cells[:5]), "text stands under each picture"
    assert (sheet[2 * height :] < 100).any() and "CC BY-SA 4.0" in CREDIT
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_nothing_to_show_or_nowhere_to_write(tmp_path):
    with pytest.raises(ValueError, match="at least one sample"):
        contact_sheet([], tmp_path / "a.png")
    with pytest.raises(ValueError, match="does not exist"):
        contact_sheet([PictureWorld()[0]], tmp_path / "none" / "a.png")
