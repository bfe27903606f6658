"""It learns: a toy task from a random model, and the shorter thinking of DPO, all within seconds."""

import pytest
import torch
from rl_toys import LETTERS, Questions, engine, prompts
from tiny_models import EOS, tiny_model

from minikimi.errors import UserError
from minikimi.inference.request import LENGTH, STOP
from minikimi.optim import Muon, param_groups
from minikimi.rl.average import average
from minikimi.rl.mirror_descent import MirrorDescent
from minikimi.rl.preferences import DirectPreference, PairLoader, dpo_loss, pair_batch, preference_pairs
from minikimi.rl.response import Group, Response

PARTS = ["vision_tower", "multi_modal_projector", "language_model"]


def test_reward_rises() -> None:
    """Letters of the half that the question asks for: from half of them to nearly all, in 20 iterations. What is right
    depends on the prompt, so no answer is right for all."""
    model = tiny_model(0)
    optimizer = Muon(param_groups(model, lr=5e-3, weight_decay=0.0), lr=5e-3)
    objective = MirrorDescent(PARTS, tau=0.05)
    objective.setup(model)
    rewards = []
    for batch in engine(model, steps=40, problems=8, samples=8, max_new_tokens=8):
        objective.before_step(optimizer, batch)
        optimizer.zero_grad()
        objective.loss(model, batch).total.backward()
        optimizer.step()
        rewards.append(batch.metrics["reward"])
    assert sum(rewards[:4]) / 4 < 0.55
    assert sum(rewards[-8:]) / 8 > 0.85


def group() -> Group:
    """To `aa`: right after 2 letters of thought, after 3, after 6; wrong and short, wrong and long, cut off."""
    texts = {"abx": 1, "abcx": 1, "abcdefx": 1, "b": 0, "abcdefg": 0, "abcdefgh": 0}
    responses = [Response((i,), end=STOP) for i in range(len(texts))]
    for r, (text, right) in zip(responses, texts.items(), strict=True):
        r.ids = [LETTERS.index(c) for c in text] + [EOS]
        r.log_probs, r.parts = [-4.0] * len(r.ids), {"exact": float(right), "format": float(right)}
    responses[-1].end = LENGTH
    return Group(1, Questions()[1], prompts()[1], responses)


def test_preference_pairs() -> None:
    """Shortest right (4 tokens) against right ones of at least 6, and wrong ones longer than 4; never against `b`."""
    pairs = preference_pairs(group())
    assert {len(p.preferred.ids) for p in pairs} == {4}
    assert [len(p.other.ids) for p in pairs] == [8, 9, 8]
    wrong = group()
    for r in wrong.responses:
        r.parts = {"exact": 1.0, "format": 0.0}
    assert preference_pairs(wrong) == []


def test_dpo_loss_by_hand() -> None:
    """log 2 at the reference; at a margin of 3 and β 0.5, -log σ(1.5); its gradient is -β σ(-1.5)."""
    zero = torch.zeros(2)
    assert float(dpo_loss(zero, zero, 0.1)) == pytest.approx(0.6931, abs=1e-4)
    margin = torch.tensor([2.0], requires_grad=True)
    loss = dpo_loss(margin, torch.tensor([-1.0]), 0.5)
    loss.backward()
    assert loss.item() == pytest.approx(0.2014, abs=1e-4)
    assert margin.grad is not None and margin.grad.item() == pytest.approx(-0.5 * 0.18243, abs=1e-4)


def test_dpo_widens_the_margin_and_starts_at_log_2() -> None:
    from minikimi.rl.batch import token_log_probs
    from minikimi.rl.policy import Policy

    model = tiny_model(2)
    pairs = preference_pairs(group())
    batch = pair_batch(pairs, 61)
    policy = Policy.of(model.config)
    with torch.no_grad():  # the reference is this model
        for pair in pairs:
            for r in (pair.preferred, pair.other):
                alone = pair_batch([type(pair)(pair.prompt, r, r)], 61)
                r.log_probs = token_log_probs(model, policy, alone).log_probs[: len(r.ids)].tolist()
        batch = pair_batch(pairs, 61)
    objective = DirectPreference(PARTS, beta=0.1)
    objective.setup(model)
    assert float(objective.loss(model, batch).total.detach()) == pytest.approx(0.6931, abs=1e-4)
    optimizer = Muon(param_groups(model, lr=2e-3, weight_decay=0.0), lr=2e-3)
    loader = PairLoader(pairs, 61, size=3, steps=10)
    assert len(loader) == len(list(loader)) == 10
    for drawn in loader:
        optimizer.zero_grad()
        objective.loss(model, drawn).total.backward()
        optimizer.step()
    after = objective.loss(model, batch)
    assert after.total < 0.6 and after.parts["accuracy"] == 1 and after.parts["margin"] > 1


def test_average_of_two_models(tmp_path) -> None:
    a, b = tiny_model(0), tiny_model(1)
    a.save_pretrained(tmp_path / "a")
    b.save_pretrained(tmp_path / "b")
    mean = average(tmp_path / "a", tmp_path / "b", 0.25).state_dict()
    theirs = b.state_dict()
    for name, tensor in a.state_dict().items():
        torch.testing.assert_close(mean[name], 0.25 * tensor + 0.75 * theirs[name], msg=name)
    tiny_model(0, text=dict(kv_lora_rank=16)).save_pretrained(tmp_path / "c")
    with pytest.raises(UserError, match="different configs"):
        average(tmp_path / "a", tmp_path / "c")
    with pytest.raises(UserError, match=r"must lie in \[0, 1\]"):
        average(tmp_path / "a", tmp_path / "b", 1.5)
