"""samples.png: every kept sample has its place, and what its font lacks is replaced."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minikimi.evaluation.overview import draw_overview, printable


def tints(image: Image.Image) -> tuple[bool, bool]:
    """Whether there is green text, and whether there is red."""
    red, green, _ = np.asarray(image.convert("RGB"), dtype=int).transpose(2, 0, 1)
    return bool((green - red > 50).sum() > 20), bool((red - green > 50).sum() > 20)


@pytest.mark.slow
def test_right_is_green_and_wrong_red_and_four_stand_in_a_row(tmp_path: Path) -> None:
    Image.new("RGB", (28, 28), "black").save(tmp_path / "a.png")
    sample = {"task": "sum", "question": "2 + $3?", "truth": "5", "raw": "◁think▷two◁/think▷5", "images": []}
    heights, colours = [], []
    for kept in ([True], [False], [True] * 5):
        images: list[list[str]] = [["a.png"], ["a.png"] * 3, [], ["a.png"], []]
        rows = [{**sample, "correct": good, "images": names} for good, names in zip(kept, images, strict=False)]
        draw_overview(tmp_path, rows)
        with Image.open(tmp_path / "samples.png") as drawn:
            heights.append(drawn.height)
            colours.append(tints(drawn))
    assert heights[0] == heights[1] < heights[2] < 2 * heights[0]
    assert colours == [(True, False), (False, True), (True, False)]


def test_what_the_font_lacks_is_a_question_mark() -> None:
    assert printable("Größe → 数 7") == "Größe → ? 7"
