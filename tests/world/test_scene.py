"""A scene becomes a sample: its images in order, words between them if they are labelled."""

import numpy as np
from PIL import Image

from minikimi.world.canvas import Canvas
from minikimi.world.scene import Scene, sheet_facts

IMAGES = [Image.new("RGB", (28, 28), colour) for colour in ("red", "blue")]


def test_every_field_arrives_under_its_own_name():
    more, facts = [("And the dog?", "right")], {"kind": "where.place"}
    scene = Scene(
        images=IMAGES[:1], question="Where?", answer="left", caption="cat at left", solution="steps. left", more=more,
        facts=facts, told=["a cat"],
    )  # fmt: skip
    sample = scene.sample("x-1", "where")
    assert (sample.id, sample.task, sample.kind) == ("x-1", "where", "where.place")
    assert (sample.question, sample.answer, sample.caption, sample.solution) == (
        "Where?", "left", "cat at left", "steps. left")  # fmt: skip
    assert (sample.images, sample.more, sample.facts, sample.told) == (IMAGES[:1], more, facts, ["a cat"])
    assert [part["type"] for part in sample.messages[0]["content"]] == ["image", "text"]


def test_labelled_images_have_words_between_them():
    sample = Scene(images=IMAGES, question="Which?", answer="page 1", facts={}, label="Page").sample("x", "pages")
    content = sample.messages[0]["content"]
    assert [part.get("text") for part in content] == ["Page 1:", None, "Page 2:", None, "Which?"]


def test_the_caption_tells_the_images_unless_each_is_told():
    assert Scene(images=IMAGES, question="", answer="", facts={}, caption="c").sample("x", "y").told == ["c", "c"]
    assert Scene(question="", answer="", facts={}, caption="c").sample("x", "y").told == []


def test_sheets_are_known_by_their_placements():
    sheets = [Canvas.blank(np.random.default_rng(0), (28, 28), colour) for colour in ("pink", "blue")]
    sheets[1].placements.append({"name": "cat"})
    facts = sheet_facts("motion", sheets, name="cat")
    assert facts == {
        "kind": "motion", "backgrounds": ["pink", "blue"], "frames": [[], [{"name": "cat"}]], "name": "cat"
    }  # fmt: skip
