"""Task `receipt`: pictures, prices and their total."""

import numpy as np
from world_checks import BOTH_SPLITS, cell, check_further, check_new, check_steps, named, samples

from minikimi.world import holdout


@BOTH_SPLITS
def test_receipts_are_added_up(split):
    for sample in samples("receipt", split, 400):
        lines, pictures = sample.facts["lines"], sample.facts["placements"]
        assert [p["name"] for p in sorted(pictures, key=lambda p: p["box"][1])] == list(lines)
        assert all(p["box"][2] <= 28 for p in pictures)
        assert sample.caption == ", ".join(f"{name} {price}" for name, price in lines.items())
        named = [name for name in lines if f"the {name} " in sample.question + " " or f"the {name}?" in sample.question]
        assert len(named) == (sample.kind == "receipt.cost")
        assert int(sample.answer) == (lines[named[0]] if named else sum(lines.values()))
        check_steps(sample.solution, sample.answer)
        assert sample.solution.count("=") == (0 if named else len(lines) - 1)
        assert all(1 <= price <= 30 for price in lines.values()) and 1 <= sample.facts["difficulty"] <= 4


def test_prices_are_printed_flush_right():
    # The tens column has ink exactly where the price has two digits.
    for sample in samples("receipt", "train", 100):
        grey = np.asarray(sample.images[0].convert("L")).astype(int)
        for row, price in enumerate(sample.facts["lines"].values()):
            cells = [grey[28 * row : 28 * row + 28, 28 * c : 28 * c + 28] for c in (1, 2)]
            assert [bool((grey[-1, -1] - cell > 60).any()) for cell in cells] == [price > 9, True]


def combinations(sample):
    lines, asked = dict(sample.facts["lines"]), sample.facts["asked"]
    return [(asked, lines.pop(asked)), *lines.items()]


def test_the_price_is_new():
    check_new("receipt", combinations, 5000)
    trained = {price for sample in samples("receipt", n=2500) for _, price in combinations(sample)}
    assert trained == set(range(1, 31))


def derived(sample, question):
    (name,) = named(question)
    row = next(cell(p["box"])[0] for p in sample.facts["placements"] if p["name"] == name)
    price = list(sample.facts["lines"].values())[row]
    return str(price), holdout.price_held_out(name, price)


def test_further_questions_follow_from_the_drawing():
    check_further("receipt", derived)
