"""Which problems are drawn: priorities, levels, filters."""

import numpy as np
import pytest
from rl_toys import Questions

from minikimi.errors import UserError
from minikimi.rl.problems import ProblemPool, informative, levels_at


def test_first_draws_follow_one_minus_success() -> None:
    """Success 0, 1/4, 1/2, 1 and two untried ones: weights 1, .75, .5, 0, 1, 1 of 4.25; 4,000 independent draws."""
    pool = ProblemPool(Questions(6), 6)
    for index, right in enumerate(([0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0], [1, 1, 1, 1])):
        pool.record(index, [bool(r) for r in right])
    n = 4000
    counts = np.bincount([pool.draw((i, 0), 1)[0] for i in range(n)], minlength=6)
    wanted = np.array([1, 0.75, 0.5, 0, 1, 1]) / 4.25
    assert np.abs(counts / n - wanted).max() < 4 * np.sqrt(0.25 * 0.75 / n)
    assert counts[3] == 0


def test_success_is_counted_over_all_tries() -> None:
    pool = ProblemPool(Questions(2), 2)
    pool.record(0, [True, True])
    pool.record(0, [False, False, False, False, False, False])
    assert pool.weights(0).tolist() == [0.75, 1.0]
    again = ProblemPool(Questions(2), 2)
    again.load_state_dict(pool.state_dict())
    assert again.weights(0).tolist() == [0.75, 1.0]


def test_when_all_is_solved_all_is_drawn() -> None:
    pool = ProblemPool(Questions(4), 4, {0: [1, 2], 5: [2]})
    for i in range(4):
        pool.record(i, [True])
    assert sorted(pool.draw((0, 0), 4)) == [0, 1, 2, 3]
    assert sorted(pool.draw((5, 0), 4)) == [1, 3]


def test_without_priorities_success_does_not_matter() -> None:
    pool = ProblemPool(Questions(3), 3, prioritised=False)
    pool.record(0, [True])
    assert pool.weights(0).tolist() == [1, 1, 1]


def test_curriculum_goes_from_easy_to_hard() -> None:
    """Problems 0, 2, 4 ... are of level 1, the others of level 2."""
    pool = ProblemPool(Questions(8), 8, {0: [1], 3: [1, 2], 6: [2]})
    levels = [sorted({1 + i % 2 for i in pool.draw((iteration, 0), 4)}) for iteration in range(8)]
    assert levels[:3] == [[1]] * 3 and levels[6:] == [[2]] * 2
    assert levels_at({}, 5) is None and levels_at({2: [1]}, 1) is None and levels_at({2: [1]}, 2) == {1}
    with pytest.raises(UserError, match=r"no problem of the levels \[4\]; the pool has \[1, 2\]"):
        ProblemPool(Questions(4), 4, {0: [4]}).draw((0, 0), 1)


def test_draws_are_different_problems_and_a_function_of_the_key() -> None:
    pool = ProblemPool(Questions(8), 8, seed=3)
    assert len(set(pool.draw((0, 0), 8))) == 8
    assert pool.draw((1, 0), 5) == pool.draw((1, 0), 5)
    assert len({tuple(pool.draw((i, j), 5)) for i in range(3) for j in range(2)}) == 6
    assert pool.draw((1, 0), 5) != ProblemPool(Questions(8), 8, seed=4).draw((1, 0), 5)
    first, rest = pool.draw((1, 0), 5)[0], pool.draw((1, 0), 5)[1:]
    assert pool.draw((1, 0), 4, exclude={first}) == rest
    assert sorted(pool.draw((0, 0), 9, usable=lambda i: i != 2)) == [0, 1, 3, 4, 5, 6, 7]


def test_what_teaches_something() -> None:
    assert not informative([1.0, 1.0, 1.0], [True] * 3)
    assert not informative([0.0, 0.0], [False] * 2)
    assert informative([1.0, 0.0], [True, False])
    assert informative([1.1, 0.9], [True, True])  # all right, but one is shorter
    assert not informative([1.1, 0.9], [True, True], high=0.9)
    assert not informative([1.0, 0.0, 0.0, 0.0], [True, False, False, False], low=0.3)


def test_only_what_was_kept_is_drawn() -> None:
    pool = ProblemPool(Questions(8), 8, {0: [1, 2], 5: [2]}, kept=[1, 2, 7])
    assert sorted(pool.draw((0, 0), 8)) == [1, 2, 7] and sorted(pool.draw((5, 0), 8)) == [1, 7]
    for index in (1, 2, 7):
        pool.record(index, [True])
    assert sorted(pool.draw((0, 0), 8)) == [1, 2, 7]  # all solved: all count alike
    with pytest.raises(UserError, match=r"no problem of the levels \[1\]; the pool has \[2\]"):
        ProblemPool(Questions(8), 8, {0: [1]}, kept=[1, 7]).draw((0, 0), 1)
