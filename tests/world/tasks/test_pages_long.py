"""Task `pages_long`: as many pages as about 500 tokens hold, and no worked steps."""

from world_checks import SPLITS, check_budget, samples


def test_a_document_is_long():
    check_budget("pages_long", 400, 512, 30)


def test_it_is_too_long_for_worked_steps():
    assert not any(sample.solution for split in SPLITS for sample in samples("pages_long", split, 10))
