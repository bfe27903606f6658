"""Amounts by name, listed and added up in words: for `chart` and `receipt` (lesson 09)."""

from __future__ import annotations

from itertools import accumulate


def describe(amounts: dict[str, int]) -> str:
    """`{"red": 7, "blue": 3}` -> `red 7, blue 3`."""
    return ", ".join(f"{name} {amount}" for name, amount in amounts.items())


def running_sum(values: list[int]) -> list[str]:
    """`[7, 3, 5]` -> `7 + 3 = 10`, `10 + 5 = 15`."""
    totals = list(accumulate(values))
    return [f"{a} + {b} = {c}" for a, b, c in zip(totals, values[1:], totals[1:], strict=False)]
