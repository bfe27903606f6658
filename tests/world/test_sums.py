"""Mental arithmetic: worked steps by hand, column by column, and the pairs that are held out."""

import re
from collections import Counter

import pytest
from world_checks import BOTH_SPLITS, check_steps, families, samples, value

from minikimi.world import holdout, sums


@pytest.mark.parametrize("task", ["sum", "arithmetic"])
@BOTH_SPLITS
def test_sums_from_the_drawn_numbers(task, split):
    for sample in samples(task, split):
        a, sign, b = (sample.facts[k] for k in ("a", "sign", "b"))
        assert int(sample.answer) == value(f"{a} {sign} {b}") >= 0
        assert (sample.caption if task == "sum" else sample.question).count(f"{a} {sign} {b}") == 1
        assert sample.solution.startswith(f"{a} {sign} {b}. ")
        check_steps(sample.solution, sample.answer)


def digits_of_steps(solution):
    """The result put together again from the columns of the worked steps, the carries and nothing else."""
    lines = [s for s in solution.split(". ")[1:-1] if "=" in s and not s.startswith("Check")]
    results = [line.split(" = ")[1] for line in lines]
    if "carry" in lines[0]:
        ones, carry = re.fullmatch(r"1\d, write (\d), carry (1)", results[0]).groups()
        assert re.match(rf"\d \+ \d \+ {carry} =", lines[1]), solution
        results[0] = ones
    elif "borrow" in solution:
        assert re.match(r"\d - \d - 1 =", lines[1]), solution
    return int("".join(reversed(results)))


def test_the_columns_alone_give_the_result():
    # A carry that is announced but not added, or added but not announced, gives another number here.
    for sample in samples("arithmetic", "train", 1000):
        assert digits_of_steps(sample.solution) == int(sample.answer), sample.solution
    assert digits_of_steps("27 + 15. 7 + 5 = 12, write 2, carry 1. 2 + 1 + 1 = 4. 42") == 42
    with pytest.raises(AssertionError):
        digits_of_steps("27 + 15. 7 + 5 = 12, write 2, carry 1. 2 + 1 = 3. 32")


def test_worked_by_hand():
    assert sums.solve(7, "+", 5, False) == "7 + 5. 7 + 5 = 12. 12"
    assert sums.solve(27, "+", 15, True) == (
        "27 + 15. 7 + 5 = 12, write 2, carry 1. 2 + 1 + 1 = 4. Check: 42 - 15 = 27. 42"
    )
    assert sums.solve(42, "-", 38, False) == "42 - 38. 2 < 8, borrow 1. 12 - 8 = 4. 4 - 3 - 1 = 0. 4"
    assert sums.solve(64, "+", 5, False) == "64 + 5. 4 + 5 = 9. 6 + 0 = 6. 69"
    assert sums.solve(45, "+", 72, False) == "45 + 72. 5 + 2 = 7. 4 + 7 = 11. 117"


def test_difficulty_says_how_long_and_whether_there_is_a_carry():
    digits = {1: (1, 1), 2: (2, 1), 3: (2, 2), 4: (2, 2)}
    seen = Counter()
    for sample in samples("arithmetic", "train", 1000):
        a, sign, b, difficulty = (sample.facts[k] for k in ("a", "sign", "b", "difficulty"))
        seen[difficulty, sign] += 1
        assert (len(str(a)), len(str(b))) == digits[difficulty]
        if difficulty > 1:
            # A column overflows if and only if the digit sum of the result is not the digits' sum or difference.
            crossed = sum(map(int, str(a))) + (1 if sign == "+" else -1) * sum(map(int, str(b)))
            assert (sum(map(int, sample.answer)) != crossed) == (difficulty == 4), sample.question
    assert len(seen) == 8 and min(seen.values()) > 80


def test_three_solutions_in_four_check_themselves():
    checked = [s for s in samples("arithmetic", "train", 1000) if "Check: " in s.solution]
    assert 0.7 < len(checked) / 1000 < 0.8
    for sample in checked:
        a, sign, b = (sample.facts[k] for k in ("a", "sign", "b"))
        reverse = {"+": "-", "-": "+"}[sign]
        assert sample.solution.endswith(f"Check: {sample.answer} {reverse} {b} = {a}. {sample.answer}")


def test_held_out_sums_are_nowhere_in_training():
    asked = {next(families(s.solution)) for t in ("sum", "arithmetic") for s in samples(t, "held_out", 1000)}
    train = [s for t in ("sum", "arithmetic") for s in samples(t, "train", 2000)]
    assert not asked & {next(families(s.solution)) for s in train}
    # Neither in the checks: columns of one digit are shared by design, longer numbers must be new.
    taught = {pair for s in train for pair in families(s.solution)}
    assert not {pair for pair in asked if sum(pair) > 18} & taught
    assert {holdout.sum_held_out(a, b) == holdout.sum_held_out(b, a) for a in range(40) for b in range(40)} == {True}
