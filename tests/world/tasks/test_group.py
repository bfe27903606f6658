"""Task `group`: what has to be remembered about a lone picture."""

from world_checks import BOTH_SPLITS, check_new, check_placements, samples

from minikimi.world.chinese import CHINESE
from minikimi.world.vocabulary import GROUP_OF


@BOTH_SPLITS
def test_the_answer_is_the_group_of_what_was_drawn(split):
    for sample in samples("group", split, 100):
        check_placements(sample)
        name = sample.facts["placements"][0]["name"]
        words = CHINESE if sample.facts["language"] == "zh" else {each: each for each in CHINESE}
        assert (sample.answer, sample.caption) == (words[GROUP_OF[name]], words[name])


def test_the_background_is_new():
    check_new("group", lambda sample: [(sample.facts["name"], sample.facts["background"])], 5000)
