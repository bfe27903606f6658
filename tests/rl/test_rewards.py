"""Rewards: strict, safe, and each one by hand."""

import math
import time

import pytest

from minikimi.errors import UserError
from minikimi.rl.rewards import (
    correct_answer,
    evaluate,
    exact_answer,
    length_rewards,
    point_in_box,
    reward_function,
    thought_format,
)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("12", 1),
        (" 12. ", 1),
        ("◁think▷7 + 5 = 12◁/think▷12", 1),
        ("◁think▷◁/think▷12", 1),
        ("the answer is not 7, not 8, not 12", 0),  # names every number
        ("12 or 13", 0),
        ("112", 0),
        ("◁think▷12◁/think▷13", 0),
        ("◁think▷12", 0),  # never stops thinking
        ("12◁/think▷", 0),
        ("◁think▷a◁/think▷13◁/think▷12", 0),
        ("◁think▷a◁/think▷◁think▷12", 0),
        ("so ◁think▷a◁/think▷12", 0),
        ("", 0),
        ("six + six", 0),
        ("6+6", 0),  # nothing is computed
    ],
)
def test_exact_answer_is_strict(text: str, right: int) -> None:
    assert exact_answer([text], answer=["12"], facts=[{}]) == [right]


@pytest.mark.parametrize(
    "text",
    ["9**9**9**9**9", "__import__('os').system('sleep 9')", "(" * 100_000, "1" * 10**6, " " * 10**6, "◁think▷" * 10**5,
     "◁think▷" + "." * 10**6 + "◁/think▷" + "0." * 10**5, "click(" + "0" * 10**6, "\x00\ud800", "a" * 10**6 + "!"],
)  # fmt: skip
def test_hostile_text_is_wrong_at_once(text: str) -> None:
    """A tower of powers, code, and texts on which a careless pattern would backtrack for ever."""
    columns = {"answer": ["12"], "facts": [{"box": (0.1, 0.1, 0.2, 0.2)}], "id": ["x"]}
    begin = time.perf_counter()
    values = evaluate(["exact", "point", "correct"], [text], columns)
    assert set(values[0].values()) == {0.0}
    assert time.perf_counter() - begin < 0.1  # the longest text has 10**6 letters


@pytest.mark.parametrize("name", ["exact", "point", "correct", "format"])
def test_a_tower_of_powers_costs_no_time(name: str) -> None:
    columns = {"answer": ["12"], "facts": [{"box": (0.1, 0.1, 0.2, 0.2)}], "id": ["x"]}
    taken = []
    for _ in range(5):  # the quickest counts: another process may have had the core
        begin = time.perf_counter()
        assert evaluate([name], ["9**9**9**9**9"], columns)[0][name] == 0.0
        taken.append(time.perf_counter() - begin)
    assert min(taken) < 0.01


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("click(0.25, 0.5)", 1), ("(0.25,0.5)", 1), ("◁think▷left◁/think▷click(0.30, 0.60)", 1),
        ("click(0.20, 0.40)", 1),  # the box's own corner
        ("click(0.19, 0.5)", 0), ("click(0.5, 0.25)", 0), ("click(0.25, 0.61)", 0),
        ("0.25 0.5", 0), ("click(0.25, 0.5) click(0.9, 0.9)", 0), ("click(25, 50)", 0), ("click(1.25, 0.5)", 0),
        ("click(1e-1, 0.5)", 0), ("click(nan, 0.5)", 0),
    ],
)  # fmt: skip
def test_point_in_box(text: str, right: int) -> None:
    facts = [{"box": (0.2, 0.4, 0.3, 0.6)}]
    assert point_in_box([text], facts=facts) == [right]
    assert correct_answer([text], answer=["click(0.25, 0.50)"], facts=facts) == [right]


def test_format_wants_a_thought_and_an_answer() -> None:
    texts = ["◁think▷a◁/think▷b", "b", "◁think▷ ◁/think▷b", "◁think▷a◁/think▷ ", "◁think▷a"]
    assert thought_format(texts) == [1, 0, 0, 0, 0]


def test_length_rewards_by_hand() -> None:
    """λ = 0.5 - (len - min) / (max - min) of 10, 20, 15, 30: 0.5, 0, 0.25, -0.5; wrong ones keep what is negative."""
    assert length_rewards([10, 20, 15, 30], [True, True, False, True]) == [0.5, 0.0, 0.0, -0.5]
    assert length_rewards([10, 20, 15, 30], [False] * 4) == [0.0, 0.0, 0.0, -0.5]
    assert length_rewards([7, 7, 7], [True, False, True]) == [0.0, 0.0, 0.0]
    assert length_rewards([7], [True]) == [0.0]


def always_nan(completions: list[str], **_: object) -> list[float]:
    return [0.0, math.nan][: len(completions)]


def test_nan_names_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("minikimi.rl.rewards", fromlist=["x"]).REWARDS, "broken", always_nan)
    with pytest.raises(ValueError, match="reward broken of sample world-7 is nan"):
        evaluate(["exact", "broken"], ["1", "2"], {"answer": ["1", "2"], "id": ["world-6", "world-7"]})


def test_every_function_has_its_own_column() -> None:
    columns = {"answer": ["3", "3"], "id": ["a", "b"]}
    values = evaluate(["exact", "format"], ["3", "◁think▷a◁/think▷4"], columns)
    assert values == [{"exact": 1.0, "format": 0.0}, {"exact": 0.0, "format": 1.0}]


def test_a_function_of_ones_own_and_a_misspelt_one() -> None:
    assert reward_function("rl_toys.half")(["ab"], question=["aA"]) == [1.0]
    for name in ("exakt", "rl_toys.none", "nowhere.f"):
        with pytest.raises(UserError, match="choose correct, exact, point, format"):
            reward_function(name)
