"""Task `caption`: everything is named with its place."""

from world_checks import BOTH_SPLITS, samples


@BOTH_SPLITS
def test_the_answer_is_the_description(split):
    drawn = samples("caption", split)
    assert all(sample.answer == sample.caption for sample in drawn)
    assert {len(sample.facts["things"]) for sample in drawn} == {1, 2, 3}


def test_each_held_out_sample_has_a_pair_never_trained():
    def pairs(sample):
        return {(name, place) for place, name in sample.facts["things"].items()}

    taught = set().union(*(pairs(s) for seed in (0, 1) for s in samples("caption", n=2500, seed=seed)))
    assert all(pairs(sample) - taught for sample in samples("caption", "held_out", 600))
