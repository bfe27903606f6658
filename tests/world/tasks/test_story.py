"""Task `story`: the words tell what the question asks."""

import re
from collections import Counter

from world_checks import BOTH_SPLITS, samples

from minikimi.world import TASKS


def looked_up(words, question):
    """The answer to a question about one thing, looked up in a description in words."""
    facts = [re.fullmatch(r"([a-z]+)(?: at)? ([a-z ]+|\d+)", part) for part in words.split(", ")]
    known = {match[1]: match[2] for match in facts}
    for name, value in known.items():
        if re.search(rf"\bthe {name}\b", question):
            return value
    return next(name for name, place in known.items() if question.rstrip("?.").endswith(f"at the {place}"))


@BOTH_SPLITS
def test_a_story_tells_what_its_question_asks(split):
    simple = {"story.where.place", "story.where.thing", "story.receipt.cost", "story.chart.value"}
    seen = Counter()
    for sample in samples("story", split, 400):
        assert sample.images == [] and sample.caption == "" and sample.kind.startswith("story.")
        if sample.kind in simple:
            words, question = sample.question.split(". ", 1)
            assert looked_up(words, question) == sample.answer, sample.question
            assert all(looked_up(words, further) == answer for further, answer in sample.more)
            seen[sample.kind] += 1
    assert set(seen) == simple and min(seen.values()) > 2


def test_a_click_told_in_words_is_judged_as_a_click():
    told = [sample for sample in samples("story", "held_out", 200) if sample.kind == "story.click"]
    for sample in told:
        left, top, right, _ = sample.facts["box"]
        assert TASKS["story"].judge(sample, f"click({left + 0.01:.3f}, {top + 0.01:.3f})").right
        assert not TASKS["story"].judge(sample, f"click({right + 0.01:.3f}, {top + 0.01:.3f})").right
    assert told
