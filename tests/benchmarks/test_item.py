"""A question of a benchmark: the dice of unreadable answers, and the parts of a turn."""

from minikimi.benchmarks.item import guess, image_parts, text_part


def test_a_guess_is_always_the_same_for_an_item_and_fair_over_items() -> None:
    choices = ["A", "B", "C", "D"]
    assert [guess("item 7", choices) for _ in range(3)] == [guess("item 7", choices)] * 3
    counts = [[guess(f"item {i}", choices) for i in range(2000)].count(c) for c in choices]
    assert all(abs(count - 500) < 5 * (2000 * 0.25 * 0.75) ** 0.5 for count in counts)


def test_the_parts_of_a_turn_are_separate_objects() -> None:
    first, second = image_parts(2)
    assert first == second == {"type": "image"} and first is not second
    assert text_part("<image>") == {"type": "text", "text": "<image>"}
