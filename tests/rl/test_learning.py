"""It learns: a toy task from a random model, within seconds."""

import pytest
from rl_toys import engine
from tiny_models import tiny_model

from minikimi.optim import Muon, param_groups
from minikimi.rl.mirror_descent import MirrorDescent

PARTS = ["vision_tower", "multi_modal_projector", "language_model"]


@pytest.mark.slow
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
