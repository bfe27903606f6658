"""Shared by the findings about thinking: a tiny model that answers sums, its accuracy, and a loop of reinforcement
(lessons 13 and 14).
"""

from __future__ import annotations

from functools import lru_cache

from torch import nn

from minikimi.findings.texts import as_chat, batches, processor, world
from minikimi.findings.toy_training import text_model, train
from minikimi.model.kimi_vl import KimiVL
from minikimi.optim import Muon, param_groups
from minikimi.rl.engine import RolloutEngine
from minikimi.rl.mirror_descent import MirrorDescent
from minikimi.rl.problems import ProblemPool
from minikimi.rl.rewards import exact_answer
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.sample import Sample

LR = 1e-2
RL_LR = 3e-4
START_STEPS = 1200  # the model that reinforcement starts from
POOL = 512  # problems that reinforcement draws from
LONGEST = 96  # tokens of a response


def answering_model(seed: int, form: str, steps: int, tokens: int = 512) -> KimiVL:
    """A fresh model after `steps` of fine-tuning in the form `chat` (answers at once) or `think` (worked steps)."""
    model = text_model(seed)
    train(model, batches(world(seed), as_chat(form), steps, tokens), LR)
    return model


@lru_cache(maxsize=4)
def problems(seed: int, count: int) -> list[Sample]:
    """The first held-out problems: pairs of numbers that training never draws."""
    held_out = world(seed, held_out=True)
    return [held_out[i] for i in range(count)]


def accuracy(model: KimiVL, samples: list[Sample]) -> float:
    """Percent of greedy answers that are exactly right."""
    model.eval()
    batch = processor()([sample.messages[:-1] for sample in samples], add_generation_prompt=True)
    texts = processor().decode(model.generate(**batch, max_new_tokens=LONGEST))
    assert isinstance(texts, list)
    right = exact_answer(texts, [sample.answer for sample in samples])
    return 100 * sum(right) / len(right)


def reinforce(model: KimiVL, seed: int, settings: RolloutSettings, iterations: int) -> list[dict[str, float]]:
    """Policy mirror descent on the model, in place; returns what each iteration reports of its rollouts."""
    objective = MirrorDescent(["language_model"])
    objective.setup(model)
    pool = ProblemPool(world(seed + 500), POOL, prioritised=False, seed=seed)
    engine = RolloutEngine(model, processor(), pool, settings, iterations * settings.inner_steps)
    optimizer = Muon(param_groups(model, RL_LR, weight_decay=0.0), RL_LR)
    reports = []
    model.train()
    for batch in engine:
        objective.before_step(optimizer, batch)
        objective.loss(model, batch).total.backward()
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if batch.inner == 0:
            reports.append(batch.metrics)
    return reports
