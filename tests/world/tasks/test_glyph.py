"""Task `glyph`: one thing in one image token; its name, its handwriting and its background."""

import numpy as np
from world_checks import BOTH_SPLITS, SPLITS, check_placements, pasted, samples

from minikimi.processor.processor import Processor
from minikimi.world import PictureWorld, art, glyphs, holdout
from minikimi.world.tasks.glyph import CHARACTERS
from minikimi.world.vocabulary import BACKGROUNDS, COUNTRIES, INKS, NAMES


@BOTH_SPLITS
def test_the_name_is_that_of_what_was_drawn(split):
    for sample in samples("glyph", split, 400):
        kind = sample.kind.removeprefix("glyph.")
        assert sample.answer == sample.caption == sample.facts["name"] and sample.more == []
        if kind == "character":
            assert sample.facts["placements"] == [] and sample.answer in CHARACTERS
            continue
        (placed,) = sample.facts["placements"]
        assert sample.answer == placed["name"] and placed["name"] in (COUNTRIES if kind == "flag" else NAMES)
        check_placements(sample)


@BOTH_SPLITS
def test_letters_are_printed_as_they_are_named(split):
    letters = [s for s in samples("glyph", split, 80) if s.answer in CHARACTERS and s.answer.isalpha()][:4]
    sizes = range(glyphs.FONT_SIZES[0], glyphs.FONT_SIZES[1] + 1)
    for sample in letters:
        masks = (glyphs.printed(sample.answer, font, size) for font in art.FONTS for size in sizes)
        background = sample.facts["background"]
        assert any(sample.images[0].tobytes() in pasted(mask, background, INKS) for mask in masks), sample.id
    assert len(letters) == 4


@BOTH_SPLITS
def test_handwriting_is_of_the_split(split, monkeypatch):
    # Notes down which of scikit-learn's images were drawn from; the labels there say what they show.
    from sklearn.datasets import load_digits

    target, original, used = load_digits().target, glyphs.handwritten, []

    def noted(rng, digits, held_out):
        masks, indices = original(rng, digits, held_out)
        used.append((masks[0], indices[0]))
        return masks, indices

    monkeypatch.setattr(glyphs, "handwritten", noted)
    handwritten = 0
    world = PictureWorld(3, split, {"glyph": 1})
    for sample in (world[i] for i in range(300)):  # one after another, each only when it is asked for
        if used:
            handwritten += 1
            mask, index = used.pop()
            assert str(target[index]) == sample.answer
            assert holdout.digit_held_out(index) == (split == "held_out")
            assert sample.images[0].tobytes() in pasted(mask, sample.facts["background"], INKS)
    assert handwritten > 3


def test_a_held_out_background_is_never_trained():
    pairs = {
        split: {(s.answer, s.facts["background"]) for s in samples("glyph", split, 3000) if s.kind != "glyph.character"}
        for split in SPLITS
    }
    assert not pairs["train"] & pairs["held_out"]
    assert all(holdout.background_held_out(*pair) for pair in pairs["held_out"])
    assert {name for name, _ in pairs["train"]} == {*NAMES, *COUNTRIES}, "each thing is known from elsewhere"
    assert {background for _, background in pairs["train"]} == set(BACKGROUNDS)


def test_half_are_pictures_and_every_one_is_a_single_token():
    many = samples("glyph", n=800)
    assert 0.44 < np.mean([s.kind == "glyph.picture" for s in many]) < 0.56
    assert set(CHARACTERS) <= {s.answer for s in samples("glyph", n=2500)}
    processor = Processor.small()
    for sample in many[:30]:
        assert processor.encode(sample.messages, sample.images).grid_hws.tolist() == [[2, 2]]
