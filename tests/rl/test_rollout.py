"""Rollouts: what may be said, when it ends, and that it does not matter in which batch or in how many pieces."""

from contextlib import nullcontext

import pytest
import torch
from rl_toys import engine, prompts
from tiny_models import EOS, MEDIA, random_text, tiny_model

from minikimi.inference.request import LENGTH, REPETITION, STOP, WINDOW
from minikimi.rl.batch import join, token_log_probs
from minikimi.rl.policy import Policy
from minikimi.rl.response import Response
from minikimi.rl.rollout import rollout


def sample(model, k: int = 3, max_new_tokens: int = 12, only: int | None = None, **options) -> list[list[Response]]:
    """k responses to each of three prompts, or to one of them alone; keys do not depend on that."""
    asked = prompts() if only is None else [prompts()[only]]
    numbers = range(3) if only is None else [only]
    responses = [[Response((7, p, j)) for j in range(k)] for p in numbers]
    while any(not r.end for group in responses for r in group):
        rollout(model, Policy.of(model.config), asked, responses, max_new_tokens, **options)
    return responses


def said(responses: list[list[Response]]) -> list[list[tuple]]:
    return [[(r.ids, r.end) for r in group] for group in responses]


def test_batch_of_one_is_batch_of_many() -> None:
    model = tiny_model(0)
    together = sample(model)
    for p in range(3):
        alone = sample(model, only=p)[0]
        assert said([alone]) == said([together[p]])
        for a, b in zip(alone, together[p], strict=True):
            torch.testing.assert_close(torch.tensor(a.log_probs), torch.tensor(b.log_probs), atol=1e-5, rtol=1e-5)
    assert len({tuple(r.ids) for group in together for r in group}) == 9  # and all are different


@pytest.mark.parametrize("segment", [1, 5])
def test_partial_rollouts_equal_one_long_rollout(segment: int) -> None:
    model = tiny_model(1)
    whole, pieces = sample(model, record_experts=True), sample(model, segment=segment, record_experts=True)
    assert said(whole) == said(pieces)
    for group, parts in zip(whole, pieces, strict=True):
        for a, b in zip(group, parts, strict=True):
            torch.testing.assert_close(torch.tensor(a.log_probs), torch.tensor(b.log_probs), atol=1e-5, rtol=1e-5)
            assert b.start == (len(b.ids) - 1) // segment * segment and a.start == 0
            assert a.experts is not None and b.experts is not None
            assert torch.equal(a.experts[:, :-1], b.experts[:, :-1])  # the last token is never read


def test_log_probs_are_those_of_the_training_pass() -> None:
    """With images, in float64: a shifted position or image would show."""
    model = tiny_model(2).double()
    policy = Policy.of(model.config, temperature=0.7)
    responses = [[Response((7, p, j)) for j in range(2)] for p in range(3)]
    rollout(model, policy, prompts(), responses, 9)
    rows = [(p, r) for p, group in enumerate(responses) for r in group]
    batch = join(prompts(), [p for p, _ in rows], [r.ids for _, r in rows], [0] * 6, MEDIA)
    tokens = token_log_probs(model, policy, batch)
    recorded = torch.cat([torch.tensor(r.log_probs) for _, r in rows])
    torch.testing.assert_close(tokens.log_probs.float(), recorded, atol=1e-5, rtol=1e-5)


def test_control_tokens_are_never_said() -> None:
    """The head is bent so that the placeholder, [BOS] and [PAD] would win by far."""
    model = tiny_model(3)
    with torch.no_grad():
        hidden = model(random_text(4)[None]).hidden.mean(0)
        model.language_model.lm_head.weight[[60, MEDIA, 64]] += 20 * hidden / hidden.norm()
    ids = [i for group in sample(model, k=8, max_new_tokens=20) for r in group for i in r.ids]
    assert set(ids) <= {*range(60), EOS, EOS + 1}
    banned = Policy.of(model.config).log_probs(torch.zeros(1, 65))[0]
    assert [i for i in range(65) if banned[i] == -torch.inf] == [60, MEDIA, 64]
    assert float(banned.exp().sum()) == pytest.approx(1.0)


def test_ends() -> None:
    """A response ends with its first stop token, which is kept, or at the limit."""
    for group in sample(tiny_model(4), k=16, max_new_tokens=20):
        for r in group:
            stops = [i for i, token in enumerate(r.ids) if token in (EOS, EOS + 1)]
            if r.end == STOP:
                assert stops == [len(r.ids) - 1]
            else:
                assert not stops and (r.end == REPETITION or len(r.ids) == 20)
            assert len(r.ids) == len(r.log_probs)
    assert {r.end for g in sample(tiny_model(4), k=16, max_new_tokens=20) for r in g} == {STOP, LENGTH}


@pytest.mark.parametrize("segment", [None, 7])
def test_circles_are_cut_short(segment: int | None) -> None:
    """The head says token 5 whatever came before; also in pieces it is seen after the same number of tokens."""
    model = tiny_model(5)
    with torch.no_grad():
        model.language_model.model.norm.weight.zero_()
        model.language_model.model.norm.weight[0] = 1.0
        model.language_model.lm_head.weight.zero_()
        model.language_model.lm_head.weight[5] = 0.0
    policy = Policy(1e-3, (EOS, EOS + 1), 60)
    bend = model.language_model.lm_head.register_forward_hook(lambda m, a, out: out + torch.eye(65)[5])
    responses = [[Response((1,)), Response((2,))]]
    while any(not r.end for r in responses[0]):
        rollout(model, policy, prompts()[1:2], responses, 100, segment)
    bend.remove()
    assert [(len(r.ids), r.end) for r in responses[0]] == [(WINDOW + 1, REPETITION)] * 2


def test_long_prompts_are_left_out_and_never_cut() -> None:
    e = engine(tiny_model(6), problems=8, samples=2, max_prompt_tokens=1)
    with pytest.raises(ValueError, match="no problem is left"):
        next(iter(e))
    e = engine(tiny_model(6), problems=8, samples=2, max_prompt_tokens=2)
    assert len(next(iter(e)).weights) > 0


def test_a_context_beyond_the_model_is_refused() -> None:
    with pytest.raises(ValueError, match="300 new ones exceed the context of 256"):
        rollout(tiny_model(0), Policy.of(tiny_model(0).config), prompts()[:1], [[Response((1,))]], 300)


def test_rollouts_leave_the_model_as_it_was() -> None:
    model = tiny_model(7).train()
    before = {n: t.clone() for n, t in model.state_dict().items()}
    sample(model, record_experts=True)
    assert model.training and all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


def test_rollouts_compute_as_training_does() -> None:
    """Under mixed precision the engine samples in that precision, or routing and probabilities would differ."""
    for precision, wanted in ((nullcontext, torch.float32), (bf16, torch.bfloat16)):
        e, seen = engine(tiny_model(0), steps=2), set[torch.dtype]()
        e.precision = precision
        e.model.language_model.lm_head.register_forward_hook(lambda module, inputs, out, seen=seen: seen.add(out.dtype))
        next(iter(e))
        assert seen == {wanted}


def bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)
