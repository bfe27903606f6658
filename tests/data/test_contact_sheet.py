"""The contact sheet shows every sample and gives credit."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minikimi.data.contact_sheet import CELL, _columns, _lines, _readable, contact_sheet
from minikimi.world import PictureWorld
from minikimi.world.vocabulary import CREDIT


def test_every_sample_has_its_cell_and_the_credit_stands_below(tmp_path):
    world = PictureWorld(seed=0, tasks={"count": 1, "pages": 1})
    path = contact_sheet([world[i] for i in range(5)], tmp_path / "sheet.png", columns=3)
    sheet = np.asarray(Image.open(path).convert("L"))
    assert sheet.shape[1] == 3 * CELL
    height = (sheet.shape[0] - 34) // 2
    cells = [sheet[r * height : (r + 1) * height, c * CELL : (c + 1) * CELL] for r in range(2) for c in range(3)]
    assert [bool((cell < 255).any()) for cell in cells] == [True] * 5 + [False]
    assert all((cell[CELL:] < 100).any() for cell in cells[:5]), "text stands under each picture"
    assert (sheet[2 * height :] < 100).any() and "CC BY-SA 4.0" in CREDIT
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def shown(sample, folder):
    """The cell of one sample as grey levels."""
    sheet = np.asarray(Image.open(contact_sheet([sample], folder / "one.png", columns=1)).convert("L"))
    return sheet[:-34]


def test_without_images_the_text_fills_the_cell(tmp_path):
    cell = shown(PictureWorld(tasks={"needle_2048": 1})[0], tmp_path)
    rows = (cell < 100).any(axis=1)
    assert rows[:40].any() and rows[CELL:].any() and not rows[-2:].any()


def test_of_a_long_question_the_end_and_the_answer_are_shown():
    sample = PictureWorld(tasks={"needle_2048": 1})[0]
    lines = _lines(sample, 18)
    assert len(lines) == 18 and lines[-1] == f"→ {sample.answer}" and "…" in lines
    assert sample.question.endswith(" ".join(lines[-4:-1]))
    short = PictureWorld(tasks={"arithmetic": 1})[0]
    assert " ".join(_lines(short, 18)) == f"arithmetic: {short.question} → {short.answer}"


def test_many_images_are_shown_as_large_as_they_can_be(tmp_path):
    # Pages of 56 x 28 px: 40 in 5 columns of 8 are 48 px wide; as many columns as rows would give 34.
    pages = [Image.new("RGB", (56, 28)) for _ in range(40)]
    assert _columns(pages) == 5 and _columns(pages[:1]) == 1 and _columns(pages[:2]) == 1
    assert _columns([Image.new("RGB", (28, 28))] * 4) == 2
    cell = shown(replace(PictureWorld(tasks={"pages_long": 1})[0], images=pages), tmp_path)
    dark = (cell[:CELL] < 50).mean()
    assert dark > 0.6, "black pages cover most of the square"


def test_chinese_is_shown_by_number():
    chinese = next(s for s in PictureWorld(tasks={"group": 1}) if s.facts["language"] == "zh")
    text = "".join(_lines(chinese, 18))
    assert text.replace("→", "").isascii() and "\\u" in text
    assert _readable("猫?") == "\\u732b?" and _readable("◁think▷ → 3") == "◁think▷ → 3"


def test_nothing_to_show_or_nowhere_to_write(tmp_path):
    with pytest.raises(ValueError, match="at least one sample"):
        contact_sheet([], tmp_path / "a.png")
    with pytest.raises(ValueError, match="does not exist"):
        contact_sheet([PictureWorld()[0]], tmp_path / "none" / "a.png")
