"""Task `needle_512`: texts of its length; what they hold is tested in `test_needles.py`."""

from world_checks import check_budget


def test_the_text_has_its_length():
    check_budget("needle_512", 380, 512, 30)
