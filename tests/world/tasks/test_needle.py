"""Task `needle`: texts of its length; what they hold is tested in `test_needles.py`."""

from world_checks import check_budget


def test_the_text_has_its_length():
    check_budget("needle", 70, 128, 60)
