"""Preferring short right answers: which pairs, the loss by hand, and what training on them changes."""

from pathlib import Path

import pytest
import torch
from rl_toys import LETTERS, Questions, prompts
from tiny_models import EOS, tiny_model

from minikimi.data.forms import prompt
from minikimi.errors import UserError
from minikimi.inference.request import LENGTH, STOP
from minikimi.model.kimi_vl import KimiVL
from minikimi.optim import Muon, param_groups
from minikimi.processor.processor import Processor
from minikimi.rl.batch import token_log_probs
from minikimi.rl.policy import Policy
from minikimi.rl.preferences import (
    DirectPreference,
    Pair,
    PairLoader,
    dpo_loss,
    pair_batch,
    preference_pairs,
    train_dpo,
)
from minikimi.rl.response import Group, Response
from minikimi.world import PictureWorld

PARTS = ["vision_tower", "multi_modal_projector", "language_model"]


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


@pytest.mark.slow
def test_dpo_trains_a_model_directory(nano: Path) -> None:
    """Forged pairs; the weights move and the answer preferred becomes more likely than the other."""
    processor, world = Processor.small(), PictureWorld(3, "train", {"number": 1.0})
    pairs = []
    for i in range(2):
        short, long = ([*processor.tokenizer.encode(text), 962] for text in ("7", "it is a 7"))
        responses = [Response((i,), ids, [-6.9] * len(ids), end=STOP) for ids in (short, long)]
        pairs.append(Pair(prompt(processor, world[i]), *responses))
    model = train_dpo(str(nano), pairs, steps=3, lr=1e-3, size=2, enable_progress_bar=False)
    objective = DirectPreference(["language_model"])
    objective.setup(model)
    batch = pair_batch(pairs, model.config.media_placeholder_token_id)
    before = KimiVL.from_pretrained(nano)
    margins = [float(objective.loss(m, batch).parts["margin"].detach()) for m in (before, model)]
    assert margins[1] > margins[0] + 0.01


def test_no_pair_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no pair of a short right and a long response"):
        train_dpo(str(tmp_path), [], steps=1, lr=1e-3)
