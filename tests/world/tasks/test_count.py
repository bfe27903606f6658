"""Task `count`: recounted from the placements, aloud and in both languages."""

import re
from collections import Counter

from world_checks import BOTH_SPLITS, cell, check_new, check_placements, samples

from minikimi.world.chinese import CHINESE
from minikimi.world.vocabulary import plural


@BOTH_SPLITS
def test_counts_are_recounted(split):
    for sample in samples("count", split, 200):
        check_placements(sample)
        names = [p["name"] for p in sample.facts["placements"]]
        if sample.facts["language"] == "zh":
            asked = [n for n in set(names) if sample.question[:-1] in (f"有几个{CHINESE[n]}", f"{CHINESE[n]}有几个")]
        else:
            asked = [n for n in set(names) if plural(n) in sample.question.rstrip("?.").split()]
        assert asked == [sample.facts["target"]]
        assert str(names.count(asked[0])) == sample.answer
        assert sum(int(re.match(r"\d+", part)[0]) for part in sample.caption.split(", ")) == len(names)


@BOTH_SPLITS
def test_counting_aloud_walks_the_cells(split):
    for sample in samples("count", split, 300):
        steps, found, answer = sample.solution.split(". ")
        boxes = sorted(sample.facts["placements"], key=lambda p: cell(p["box"]))
        chinese = sample.facts["language"] == "zh"
        seen = [CHINESE[place["name"]] if chinese else place["name"] for place in boxes]
        assert steps.split(", ") == [f"{word} {seen[: i + 1].count(word)}" for i, word in enumerate(seen)], sample.id
        target = CHINESE[sample.facts["target"]] if chinese else sample.facts["target"]
        assert answer == sample.answer == str(seen.count(target)) and found == f"{target} {answer}"
        assert sample.told == [", ".join(seen)]
        assert 1 <= sample.facts["difficulty"] <= 4


def combinations(sample):
    counts = Counter(p["name"] for p in sample.facts["placements"])
    asked = (sample.facts["target"], sample.facts["count"])
    return [asked, *(pair for pair in counts.items() if pair != asked)]


def test_the_count_asked_about_is_new():
    check_new("count", combinations, 5000)
