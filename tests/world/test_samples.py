"""The pictures for the page: held out, small, those that are shipped, with boxes around what is asked for."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops

from minikimi.files import SHIPPED, read_json
from minikimi.processor.images.open_image import open_image
from minikimi.world.canvas import COLOURS
from minikimi.world.samples import SEED, TASKS_SHOWN, answer_boxes, draw_sample, known, write_samples
from minikimi.world.vocabulary import BACKGROUNDS

SMALL = 20_000


def test_the_shipped_pictures_are_those_that_are_drawn(tmp_path: Path) -> None:
    assert write_samples(tmp_path) == 12
    drawn = {file.name for file in tmp_path.iterdir()}
    assert drawn == {file.name for file in (SHIPPED / "samples").iterdir()}
    assert read_json(tmp_path / "samples.json") == read_json(SHIPPED / "samples" / "samples.json")
    for name in drawn - {"samples.json"}:  # pixels, not bytes: another zlib may pack them otherwise
        shipped = SHIPPED / "samples" / name
        assert not ImageChops.difference(open_image(shipped), open_image(tmp_path / name)).getbbox()
        assert shipped.stat().st_size < SMALL
    assert "OpenMoji" in (licence := read_json(tmp_path / "samples.json")["licence"]) and "CC BY-SA 4.0" in licence


@pytest.mark.parametrize("task", TASKS_SHOWN)
def test_a_picture_is_held_out_and_asked_about_in_english(task: str) -> None:
    for index in range(8):
        sample = draw_sample(SEED, index, (task,))
        assert "held_out" in sample.id and sample.question.isascii() and len(sample.images) == 1
        for left, top, right, bottom in known(sample)["boxes"]:
            assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


@pytest.mark.parametrize("task", ["where", "count", "click", "group", "chart"])
def test_a_box_holds_something_and_what_is_outside_them_is_other_things(task: str) -> None:
    sample = draw_sample(SEED, 0, (task,))
    boxes, image = answer_boxes(sample), sample.images[0]
    paper = BACKGROUNDS[sample.facts["background"]] if sample.facts["background"] in COLOURS else (255, 255, 255)
    for left, top, right, bottom in boxes:
        sides = left * image.width, top * image.height, right * image.width, bottom * image.height
        part = image.crop(tuple(map(round, sides)))
        assert ImageChops.difference(part, Image.new("RGB", part.size, paper)).getbbox()
    assert len(boxes) == (sample.facts["count"] if task == "count" else 1)
