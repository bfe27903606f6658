"""Iterations: who waits, what is left out, and resuming to the same bits."""

import io
from itertools import pairwise

import pytest
import torch
from rl_toys import Questions, engine, group, same
from tiny_models import tiny_model

from minikimi.errors import UserError
from minikimi.optim import Muon, param_groups
from minikimi.rl.mirror_descent import MirrorDescent
from minikimi.rl.problems import ProblemPool
from minikimi.rl.rollout_settings import RolloutSettings


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


def test_settings_are_checked() -> None:
    for wrong in ({"samples": 1}, {"problems": 0}, {"rewards": {}}, {"segment": 0}):
        with pytest.raises(UserError):
            RolloutSettings(**wrong)
