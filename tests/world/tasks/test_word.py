"""Task `word`: letters in print, words and codes."""

from world_checks import BOTH_SPLITS, check_new, pasted, samples

from minikimi.world import glyphs
from minikimi.world.vocabulary import INKS
from minikimi.world.words import WORDS


@BOTH_SPLITS
def test_the_letters_are_printed_from_left_to_right(split):
    plain = [s for s in samples("word", split, 60) if not s.facts["rotation"] and not s.facts["noise"]][:10]
    for sample in plain:
        assert sample.answer == sample.facts["value"] and sample.caption == f"the word {sample.answer}"
        for i, letter in enumerate(sample.answer):
            mask = glyphs.printed(letter, sample.facts["font"], sample.facts["size"])
            drawn = sample.images[0].crop((28 * i, 0, 28 * i + 28, 28)).tobytes()
            assert drawn in pasted(mask, sample.facts["background"], INKS), sample.id
    assert len(plain) == 10


def test_half_are_codes_and_every_letter_is_trained():
    answers = [sample.answer for sample in samples("word", n=1500)]
    assert 0.4 < sum(answer not in WORDS for answer in answers) / 1500 < 0.6
    assert set("".join(answers)) == set("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def test_the_word_is_new():
    check_new("word", lambda sample: [(sample.answer,)], 5000, known=False)
