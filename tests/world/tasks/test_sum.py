"""Task `sum`: two handwritten numbers, a printed sign between."""

from sklearn.datasets import load_digits
from world_checks import BOTH_SPLITS, samples

from minikimi.world import holdout


@BOTH_SPLITS
def test_the_handwriting_spells_both_numbers(split):
    target = load_digits().target
    for sample in samples("sum", split, 100):
        drawn = "".join(str(target[i]) for i in sample.facts["digit_indices"])
        assert drawn == f"{sample.facts['a']}{sample.facts['b']}"
        assert {holdout.digit_held_out(i) for i in sample.facts["digit_indices"]} == {split == "held_out"}
        assert sample.images[0].width // 28 == len(drawn) + 1 and sample.images[0].height // 28 == 1
