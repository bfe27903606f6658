"""Iterations: scores and advantages by hand, what is left out, what the log says, and resuming to the same bits."""

import io
import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from rl_toys import LETTERS, Letters, Questions, engine, prompts, same
from tiny_models import EOS, tiny_model

from minikimi.errors import UserError
from minikimi.inference.request import LENGTH, REPETITION, STOP
from minikimi.optim import Muon, param_groups
from minikimi.rl.mirror_descent import MirrorDescent
from minikimi.rl.problems import ProblemPool
from minikimi.rl.response import Group, Response
from minikimi.rl.rollout_log import RolloutTable
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.rl.scoring import metric_names, metrics, score


def group(*texts: str, ends: dict[int, str] | None = None) -> Group:
    """Responses to `aa`, all of them ended by a stop token unless `ends` says otherwise."""
    responses = [Response((i,)) for i in range(len(texts))]
    for i, text in enumerate(texts):
        responses[i].ids = [LETTERS.index(c) for c in text] + [EOS]
        responses[i].end = (ends or {}).get(i, STOP)
    return Group(1, Questions()[1], prompts()[1], responses)


EXACT = RolloutSettings(rewards={"exact": 1.0})


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


def test_a_problem_waits_for_its_last_response() -> None:
    """In segments of 3 of at most 10 letters. The mean is that of all k, so each problem's advantages add up to 0, in
    the batch too; a problem is scored once, in the iteration in which its last response ends.
    """
    assert not group("x", "b", ends={1: ""}).complete and group("x", "b").complete
    e = engine(tiny_model(0), steps=30, inner_steps=1, segment=3, problems=3, attempts=1)
    waited = scored = 0
    for batch in e:
        done = int(batch.metrics.get("problems", 0))
        waited, scored = waited + len(e.buffer), scored + done
        assert batch.metrics["responses"] == 4 * done
        for advantages in batch.advantages.split(4):
            assert advantages.sum().abs() < 1e-5
    assert waited > 10 and scored > 10
    assert 4 * scored == sum(tries for tries, _ in e.pool.tried.values())


EVEN = {"rewards": {"even": 1.0}, "max_new_tokens": 200}  # long enough to end by itself


def test_only_problems_that_teach_are_in_the_batch() -> None:
    """Level 1 is never right, level 2 now and then: k rows for each problem of unequal rewards, in equal shares."""
    batch = next(iter(engine(tiny_model(0), problems=8, attempts=1, **EVEN)))
    silent = round(batch.metrics["frac_reward_zero_std"] * 8)
    assert 4 <= silent < 8 and len(batch.weights) == 4 * (8 - silent)
    assert batch.weights.tolist() == pytest.approx([1 / len(batch.weights)] * len(batch.weights))


def test_success_outside_the_limits_is_left_out() -> None:
    """All rewards differ, by length; those of level 1 are never right."""
    options = dict(problems=8, attempts=1, length_weight=0.5, **EVEN)
    everything = next(iter(engine(tiny_model(0), **options)))
    limited = next(iter(engine(tiny_model(0), min_success=0.01, **options)))
    assert len(everything.weights) == 32 and 4 <= len(limited.weights) <= 16


def test_it_draws_others_where_nothing_teaches() -> None:
    """Both problems of the first draw are never right: two others follow in the same iteration."""
    pools = ((seed, ProblemPool(Questions(), 8, seed=seed)) for seed in range(100))
    seed = next(seed for seed, pool in pools if not any(i % 2 for i in pool.draw((0, 0), 2)))
    e = engine(tiny_model(0), seed=seed, problems=2, attempts=2, **EVEN)
    drawn = [*e.pool.draw((0, 0), 2)]
    batch = next(iter(e))
    assert batch.metrics["problems"] == 4 and len(e.pool.tried) == 4 and set(drawn) < set(e.pool.tried)


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


def test_inner_steps_see_the_same_responses_and_iterations_new_ones() -> None:
    e = engine(tiny_model(0), steps=6, inner_steps=2)
    batches = list(e)
    assert len(e) == len(batches) == 6 and [b.inner for b in batches] == [0, 1] * 3
    assert torch.equal(batches[0].input_ids, batches[1].input_ids)
    assert not torch.equal(batches[1].labels[:50], batches[2].labels[:50])


@pytest.mark.parametrize("segment", [None, 4])
def test_saved_between_iterations_it_goes_on_to_the_same_bits(segment: int | None) -> None:
    """Also with responses that wait for their next segment, through torch.save as checkpoints are loaded."""
    options = dict(steps=12, segment=segment, record_experts=True, problems=3)
    left_alone, stopped = engine(tiny_model(0), **options), engine(tiny_model(0), **options)
    all_batches = list(left_alone)
    some = iter(stopped)
    for _ in range(4):
        next(some)
    state = stopped.state_dict()
    assert bool(state["buffer"]) == bool(segment)
    memory = io.BytesIO()
    torch.save(state, memory)
    memory.seek(0)
    resumed = engine(tiny_model(0), **options)
    resumed.load_state_dict(torch.load(memory, weights_only=True))
    rest = list(resumed)
    assert len(rest) == 8 and all(same(a, b) for a, b in zip(rest, all_batches[4:], strict=True))
    assert not same(rest[0], all_batches[0])


def test_a_checkpoint_within_an_iteration_is_refused() -> None:
    e = engine(tiny_model(0))
    next(iter(e))
    with pytest.raises(UserError, match="set checkpoint_every to a multiple of inner_steps"):
        e.state_dict()


def test_earlier_segments_are_left_out_of_the_loss() -> None:
    """Responses of 10 tokens in segments of 4: the last segment is learnt, with its recorded log-probability."""
    e = engine(tiny_model(0), steps=20, inner_steps=1, segment=4, problems=3)
    learnt = []
    for batch in e:
        lengths = [int((batch.labels[a:b] != -100).sum()) for a, b in _bounds(batch)]
        learnt += lengths
        assert bool((batch.reference[batch.labels != -100] < 0).all())
    assert max(learnt) <= 4 and len(learnt) > 20


def _bounds(batch) -> list[tuple[int, int]]:
    ends = batch.cu_seqlens.tolist()
    return list(pairwise(ends))


def test_nothing_to_learn_changes_no_weight() -> None:
    """A reward that is always 0: the batch still comes, its gradient is 0; Muon blows up no rounding error."""
    model = tiny_model(1)
    batch = next(iter(engine(model, rewards={"exact": 1.0})))
    assert batch.metrics["frac_reward_zero_std"] == 1 and not batch.weights.any()
    optimizer = Muon(param_groups(model, lr=0.1, weight_decay=0.0), lr=0.1)
    before = {n: p.clone() for n, p in model.named_parameters()}
    objective = MirrorDescent(["language_model"])
    objective.setup(model)
    objective.loss(model, batch).total.backward()
    optimizer.step()
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())


def test_table_survives_a_resume(tmp_path: Path) -> None:
    """Rows of iterations that run again are dropped, and so is a line that was cut by the kill."""
    path = tmp_path / "rollouts.jsonl"
    table = RolloutTable(path, Letters(), shown=2)  # type: ignore[arg-type]
    e = engine(tiny_model(0), steps=6)
    e.table = table
    list(e)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == 3 * 2 * 2 and {row["iteration"] for row in rows} == {0, 1, 2}
    assert rows[0]["reward"] >= rows[1]["reward"] and rows[0]["id"] == rows[1]["id"]
    with path.open("a") as file:
        file.write('{"iteration": 1, "id"')
    table.keep_before(2)
    assert [json.loads(line) for line in path.read_text().splitlines()] == rows[:8]


def test_settings_are_checked() -> None:
    for wrong in ({"samples": 1}, {"problems": 0}, {"rewards": {}}, {"segment": 0}):
        with pytest.raises(UserError):
            RolloutSettings(**wrong)
