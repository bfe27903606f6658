"""Amounts listed and added up, by hand."""

from minikimi.world.amounts import describe, running_sum


def test_a_list_and_its_running_sum():
    assert describe({"red": 7, "blue": 3}) == "red 7, blue 3"
    assert running_sum([7, 3, 5]) == ["7 + 3 = 10", "10 + 5 = 15"]
    assert running_sum([7]) == []
