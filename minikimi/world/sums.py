"""Problems of mental arithmetic, for `sum` and `arithmetic` (lesson 09).

They come with worked steps, column by column, ones first. Three solutions in four check their result; nothing in the
question says which. Reinforcement learning with a length penalty (Kimi k1.5, arXiv 2501.12599, section 2.3.3) can
learn to leave that out. Long chains of thought: Kimi-VL report (arXiv 2504.07491), section 2.4.
"""

from __future__ import annotations

from typing import Any

from minikimi.world.canvas import Rng, between, pick
from minikimi.world.holdout import sum_held_out, sum_unseen

# Lowest and highest first and second number by difficulty; only 4 carries or borrows.
RANGES = {1: ((0, 9), (0, 9)), 2: ((10, 99), (1, 9)), 3: ((10, 99), (10, 99)), 4: ((10, 99), (10, 99))}
CHECKED = 0.75  # share of solutions that check their result


def result(a: int, sign: str, b: int) -> int:
    """a + b or a - b."""
    return a + b if sign == "+" else a - b


def carries(a: int, sign: str, b: int) -> bool:
    """Whether some column, taken alone, leaves the range 0 to 9."""
    columns = [result(a % 10, sign, b % 10), result(a // 10, sign, b // 10)]
    return any(not 0 <= column <= 9 for column in columns)


def _draw_numbers(rng: Rng, held_out: bool) -> tuple[int, str, int, int]:
    """(a, sign, b, difficulty) of the split, with a result of at least 0."""
    difficulty, sign = between(rng, 1, 4), pick(rng, ["+", "-"])
    while True:
        a, b = (between(rng, *limits) for limits in RANGES[difficulty])
        value = result(a, sign, b)
        first = a if sign == "+" else value
        fits = difficulty == 1 or carries(a, sign, b) == (difficulty == 4)
        if value >= 0 and fits and (sum_unseen(first, b) if held_out else not sum_held_out(first, b)):
            return a, sign, b, difficulty


def steps(a: int, sign: str, b: int) -> list[str]:
    """The columns in words, ones first: `7 + 5 = 12, write 2, carry 1`, then `2 + 1 + 1 = 4`."""
    if max(a, b) < 10:
        return [f"{a} {sign} {b} = {result(a, sign, b)}"]
    ones = result(a % 10, sign, b % 10)
    tens = result(a // 10, sign, b // 10)
    columns = f"{a // 10} {sign} {b // 10}"
    if ones > 9:
        return [f"{a % 10} + {b % 10} = {ones}, write {ones - 10}, carry 1", f"{columns} + 1 = {tens + 1}"]
    if ones < 0:
        borrowed = f"{a % 10} < {b % 10}, borrow 1"
        return [borrowed, f"{a % 10 + 10} - {b % 10} = {ones + 10}", f"{columns} - 1 = {tens - 1}"]
    return [f"{a % 10} {sign} {b % 10} = {ones}", f"{columns} = {tens}"]


def solve(a: int, sign: str, b: int, check: bool) -> str:
    """Question, columns, if `check` the reverse operation, and the result, as short sentences."""
    value = result(a, sign, b)
    reverse = [f"Check: {value} {'-' if sign == '+' else '+'} {b} = {a}"] if check else []
    return ". ".join([f"{a} {sign} {b}", *steps(a, sign, b), *reverse, str(value)])


def draw_problem(rng: Rng, held_out: bool) -> tuple[str, str, str, dict[str, Any]]:
    """The text (`27 + 15`), answer, worked solution and facts of one problem of the split."""
    a, sign, b, difficulty = _draw_numbers(rng, held_out)
    check = bool(rng.random() < CHECKED)
    facts = {"a": a, "sign": sign, "b": b, "difficulty": difficulty, "checked": check}
    return f"{a} {sign} {b}", str(result(a, sign, b)), solve(a, sign, b, check), facts
