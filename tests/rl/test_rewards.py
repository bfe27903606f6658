"""Rewards: strict, safe, and each one by hand. What is right is the law of answers, see tests/test_answers.py."""

import math
import sys

import pytest
import rl_toys  # noqa: F401  its rewards

from minikimi.errors import UserError
from minikimi.rl import rewards
from minikimi.rl.rewards import (
    correct_answer,
    evaluate,
    exact_answer,
    length_rewards,
    point_in_box,
    reward_function,
    thought_format,
)

BOX = (0.2, 0.4, 0.3, 0.6)
HOSTILE = [
    "9**9**9**9**9", "__import__('os').system('sleep 9')", "(" * 100_000, "1" * 10**6, " " * 10**6, "◁think▷" * 10**5,
    "◁think▷" + "." * 10**6 + "◁/think▷" + "0." * 10**5, "click(" + "0" * 10**6, "\x00\ud800", "a" * 10**6 + "!",
]  # fmt: skip


def test_the_answer_alone_earns_the_reward() -> None:
    texts = ["12", "◁think▷7 + 5◁/think▷12.", "so ◁think▷a◁/think▷12", "12 or 13", "6+6", ""]
    assert exact_answer(texts, answer=["12"] * 6, facts=[{}] * 6) == [1, 1, 0, 0, 0, 0]
    texts = ["click(0.25, 0.5)", "◁think▷left◁/think▷(0.20, 0.40)", "click(0.5, 0.25)", "click(0.25, 0.5) please"]
    assert point_in_box(texts, facts=[{"box": BOX}] * 4) == [1, 1, 0, 0]


def test_correct_goes_by_the_rule_of_the_task() -> None:
    texts, answer = ["click(0.25, 0.50)", "12", "click(0.25, 0.50)"], ["click(0.21, 0.41)", "12", "click(0.21, 0.41)"]
    facts, task = [{"box": BOX}, {}, {"box": BOX}], ["click", "sum", "custom"]
    assert correct_answer(texts, answer=answer, facts=facts, task=task) == [1, 1, 0]
    assert correct_answer(["12", *texts[:1]], answer=answer[:2], facts=facts[:2], task=task[:2]) == [0, 0]
    steps = {"box": None, "history": []}  # a moment of the desktop whose right action is no click
    assert correct_answer(["done()"], answer=["done()"], facts=[steps], task=["desktop"]) == [1]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_wrong(text: str) -> None:
    """A tower of powers, code, and texts on which a careless pattern would backtrack for ever."""
    columns = {"answer": ["12"], "facts": [{"box": (0.1, 0.1, 0.2, 0.2)}], "task": ["click"], "id": ["x"]}
    assert set(evaluate(["exact", "point", "correct"], [text], columns)[0].values()) == {0.0}


def test_format_wants_a_thought_and_an_answer() -> None:
    texts = ["◁think▷a◁/think▷b", "b", "◁think▷ ◁/think▷b", "◁think▷a◁/think▷ ", "◁think▷a"]
    assert thought_format(texts) == [1, 0, 0, 0, 0]


def test_length_rewards_by_hand() -> None:
    """λ = 0.5 - (len - min) / (max - min) of 10, 20, 15, 30: 0.5, 0, 0.25, -0.5; wrong ones keep what is negative."""
    assert length_rewards([10, 20, 15, 30], [True, True, False, True]) == [0.5, 0.0, 0.0, -0.5]
    assert length_rewards([10, 20, 15, 30], [False] * 4) == [0.0, 0.0, 0.0, -0.5]
    assert length_rewards([7, 7, 7], [True, False, True]) == [0.0, 0.0, 0.0]
    assert length_rewards([7], [True]) == [0.0]


def test_nan_names_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rewards.REWARDS, "broken", lambda completions, **_: [0.0, math.nan])
    with pytest.raises(ValueError, match="reward broken of sample world-7 is nan"):
        evaluate(["exact", "broken"], ["1", "2"], {"answer": ["1", "2"], "id": ["world-6", "world-7"]})


def test_every_function_has_its_own_column() -> None:
    columns = {"answer": ["3", "3"], "id": ["a", "b"]}
    values = evaluate(["exact", "format"], ["3", "◁think▷a◁/think▷4"], columns)
    assert values == [{"exact": 1.0, "format": 0.0}, {"exact": 0.0, "format": 1.0}]


def test_a_reward_is_declared_once_and_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reward_function("half")(["ab"], question=["aA"]) == [1.0]
    monkeypatch.setattr(rewards, "REWARDS", dict(rewards.REWARDS))

    @rewards.reward("short")
    def short(completions: list[str], **_: object) -> list[float]:
        return [float(len(text) < 3) for text in completions]

    assert evaluate(["short"], ["ab", "abc"], {"id": ["x", "y"]}) == [{"short": 1.0}, {"short": 0.0}]


@pytest.mark.parametrize("name", ["exakt", "os.system", "rl_toys.half", "antigravity.geohash", "", "exact\n"])
def test_a_name_is_never_imported(name: str) -> None:
    """A run's settings may come from anywhere: what is not in the table is refused, in one line, and nothing loaded."""
    with pytest.raises(UserError, match=r"unknown reward .* choose exact, point, correct, format") as caught:
        reward_function(name)
    assert "\n" not in str(caught.value) and "antigravity" not in sys.modules


def test_the_table_holds_our_rewards() -> None:
    ours = [name for name, function in rewards.REWARDS.items() if function.__module__ == rewards.__name__]
    assert ours == ["exact", "point", "correct", "format"]
