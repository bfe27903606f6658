"""Printed texts: a list of words and codes that no list could predict."""

import numpy as np

from minikimi.world.words import CONSONANTS, WORDS, draw_text


def test_words_have_three_to_five_capitals_and_stand_once():
    assert len(set(WORDS)) == len(WORDS) > 400
    assert all(3 <= len(word) <= 5 and word.isalpha() and word.isupper() for word in WORDS)


def test_half_of_the_texts_are_codes_of_one_to_five_consonants():
    rng = np.random.default_rng(0)
    texts = [draw_text(rng) for _ in range(2000)]
    codes = [text for text in texts if text not in WORDS]
    assert 0.44 < len(codes) / 2000 < 0.56 and {len(code) for code in codes} == {1, 2, 3, 4, 5}
    assert set("".join(codes)) == set(CONSONANTS)
