"""Documents of pages, short and long: found by page and by content, or said to be missing."""

import re

import numpy as np
import pytest
from world_checks import BOTH_SPLITS, NEVER, check_further, check_new, check_sheets, frames, named, samples

from minikimi.world import holdout
from minikimi.world.documents import CODES
from minikimi.world.vocabulary import NAMES

LENGTHS = pytest.mark.parametrize(("task", "n"), [("pages", 120), ("pages_long", 20)])


@LENGTHS
@BOTH_SPLITS
def test_pages_are_found_or_said_to_be_missing(task, n, split):
    unanswerable = []
    for sample in samples(task, split, n):
        question = check_sheets(sample)
        contents = [content for (content,) in frames(sample)]
        assert len(set(contents)) == len(contents)
        assert sample.caption == ", ".join(f"page {i}: {content}" for i, content in enumerate(contents, 1))
        if sample.kind == "pages.what":
            number = int(re.search(r"\d+", question)[0])
            expected = contents[number - 1] if number <= len(contents) else NEVER
        else:
            asked = named(question) or re.findall(r"\b[A-Z]{2}\b", question)
            assert len(asked) == 1, question
            expected = f"page {contents.index(asked[0]) + 1}" if asked[0] in contents else NEVER
        assert sample.answer == expected, sample.id
        assert sample.facts["answerable"] == (expected != NEVER)
        unanswerable.append(expected == NEVER)
    if n > 100:
        assert 0.1 < np.mean(unanswerable) < 0.32


def derived(sample, question):
    contents = [content for (content,) in frames(sample)]
    if number := re.search(r"\d+", question):
        at = int(number[0])
        if at > len(contents):
            return NEVER, False
        answer = thing = contents[at - 1]
    else:
        (thing,) = named(question) or re.findall(r"\b[A-Z]{2}\b", question)
        at = contents.index(thing) + 1 if thing in contents else 0
        answer = f"page {at}" if at else NEVER
    if thing in NAMES:
        return answer, bool(at) and holdout.ordinal_held_out(thing, at)
    return answer, holdout.text_held_out(thing)


def subject(sample, question):
    """The page that is asked about; a question without an answer is about no other."""
    contents = [content for (content,) in frames(sample)]
    answer = derived(sample, question)[0]
    return question if answer == NEVER else contents.index(answer) if answer in contents else int(answer.split()[1]) - 1


@LENGTHS
def test_further_questions_follow_from_the_drawing(task, n):
    check_further(task, derived, subject, n)


def combinations(sample):
    """(thing, page); a code is new on any page."""
    contents = enumerate((content for (content,) in frames(sample)), 1)
    pairs = [(thing, page if thing in NAMES else None) for page, thing in contents]
    asked = pairs.pop(sample.facts["asked"] - 1)
    return [asked, *pairs]


@pytest.mark.parametrize(("task", "n"), [("pages", 2000), ("pages_long", 150)])
def test_what_is_on_the_page_is_new(task, n):
    check_new(task, combinations, n, known=False)


def test_every_code_belongs_to_one_split():
    assert not set(CODES[False]) & set(CODES[True])
    assert all(holdout.text_held_out(code) == held_out for held_out, codes in CODES.items() for code in codes)
