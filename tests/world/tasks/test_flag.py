"""Task `flag`: what has to be remembered about a lone flag."""

from world_checks import BOTH_SPLITS, check_new, check_placements, samples

from minikimi.world.chinese import CHINESE
from minikimi.world.vocabulary import COUNTRIES


@BOTH_SPLITS
def test_the_answer_is_the_country_of_what_was_drawn(split):
    for sample in samples("flag", split, 100):
        check_placements(sample)
        country = sample.facts["placements"][0]["name"]
        assert country in COUNTRIES
        assert sample.answer == (CHINESE[country] if sample.facts["language"] == "zh" else country)
        assert sample.answer in sample.caption


def test_the_background_is_new():
    check_new("flag", lambda sample: [(sample.facts["name"], sample.facts["background"])], 5000)
