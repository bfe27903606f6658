"""From responses to rewards, advantages and metrics, by hand."""

import pytest
from rl_toys import EXACT, Letters, engine, group
from tiny_models import tiny_model

from minikimi.inference.request import LENGTH, REPETITION
from minikimi.rl.mirror_descent import MirrorDescent
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.rl.scoring import metric_names, metrics, score


def test_advantage_is_reward_minus_mean_and_nothing_else() -> None:
    """Right, wrong, wrong, wrong: 0.75 and three times -0.25; a standard deviation would make it 1.7 and -0.6."""
    scored = score(group("x", "b", "cc", "d"), Letters(), EXACT, 0)  # type: ignore[arg-type]
    assert scored.advantages == [0.75, -0.25, -0.25, -0.25]
    assert scored.correct == [True, False, False, False] and scored.informative


def test_who_does_not_stop_earns_nothing_and_circles_cost() -> None:
    g = group("x", "x", "x", ends={1: LENGTH, 2: REPETITION})
    score(g, Letters(), EXACT, 0)  # type: ignore[arg-type]
    assert [r.total for r in g.responses] == [1.0, 0.0, -0.5]
    assert g.responses[1].parts == {"exact": 0.0}


def test_length_reward_begins_when_it_should() -> None:
    """Lengths 2, 3, 4 with the stop token; only the first and the second are right ("xx" is wrong)."""
    settings = RolloutSettings(rewards={"exact": 1.0}, length_weight=0.2, length_from=3)
    before, after = group("x", "ab", "abc"), group("x", "ab", "abc")
    score(before, Letters(), settings, 2)  # type: ignore[arg-type]
    score(after, Letters(), settings, 3)  # type: ignore[arg-type]
    assert [r.total for r in before.responses] == [1.0, 0.0, 0.0]
    assert [r.total for r in after.responses] == pytest.approx([1.1, 0.0, -0.1])


def test_equal_rewards_teach_nothing() -> None:
    assert not score(group("x", "x"), Letters(), EXACT, 0).informative  # type: ignore[arg-type]
    assert not score(group("a", "b"), Letters(), EXACT, 0).informative  # type: ignore[arg-type]


def test_metrics_by_hand() -> None:
    """Two problems: rewards 1, 0, 0 (one cut off) and 1, 1; lengths with stop tokens 2, 3, 4 and 2, 2."""
    settings = RolloutSettings(rewards={"exact": 1.0, "format": 0.1})
    problems = [group("x", "ab", "xbc", ends={2: LENGTH}), group("x", "x")]
    values = metrics([score(g, Letters(), settings, 0) for g in problems], settings)  # type: ignore[arg-type]
    wanted = {
        "reward": 0.6, "success": 0.6, "rewards/exact/mean": 0.6, "rewards/format/mean": 0.0,
        "frac_reward_zero_std": 0.5, "reward_std": (1 / 3) ** 0.5 / 2, "completions/clipped_ratio": 0.2,
        "completions/min_length": 2, "completions/mean_length": 13 / 5, "completions/max_length": 4,
        "completions/max_terminated_length": 3, "completions/mean_terminated_length": 9 / 4,
    }  # fmt: skip
    assert {name: values[name] for name in wanted} == pytest.approx(wanted)


def test_every_number_has_a_column() -> None:
    e = engine(tiny_model(0), record_experts=True)
    batch = next(iter(e))
    objective = MirrorDescent(["language_model"])
    objective.setup(e.model)
    parts = objective.loss(e.model, batch).parts
    assert set(parts) <= {*metric_names(e.settings), *objective.columns}
    assert {*metric_names(e.settings), *objective.columns} - set(parts) == {"pass@1", "pass@k"}
