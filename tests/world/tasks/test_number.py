"""Task `number`: spelt by labelled handwriting, in three lengths."""

from sklearn.datasets import load_digits
from world_checks import BOTH_SPLITS, SPLITS, check_new, samples

from minikimi.world import holdout


@BOTH_SPLITS
def test_numbers_are_spelt_by_labelled_handwriting(split):
    target = load_digits().target
    for sample in samples("number", split):
        assert "".join(str(target[i]) for i in sample.facts["digit_indices"]) == sample.answer
        assert {holdout.digit_held_out(i) for i in sample.facts["digit_indices"]} == {split == "held_out"}
        assert 0 <= int(sample.answer) <= 999


def test_trained_numbers_have_one_to_three_digits_and_held_out_ones_three():
    lengths = {split: {len(sample.answer) for sample in samples("number", split, 200)} for split in SPLITS}
    assert lengths == {"train": {1, 2, 3}, "held_out": {3}}


def test_the_number_is_new():
    check_new("number", lambda sample: [(sample.answer,)], 5000, known=False)
