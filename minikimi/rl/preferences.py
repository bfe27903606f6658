"""Direct preference optimisation, to prefer short right answers (lesson 14).

Of the 8 responses to a problem, the shortest correct one is preferred to every longer wrong one, and to every correct
one at least 1.5 times as long. The loss is -log σ(β [(log π - log π_ref) of the preferred - the same of the other]),
log π summed over tokens. Sources: DPO (arXiv 2305.18290), equation 7; Kimi k1.5 report (arXiv 2501.12599), section 2.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.data.packing import PackedBatch
from minikimi.errors import UserError
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Encoded
from minikimi.rl.batch import SharedBatch, join, token_log_probs
from minikimi.rl.policy import Policy
from minikimi.rl.rejection import verified
from minikimi.rl.response import Group, Response
from minikimi.training.objectives import PARTS, Loss, Objective

MUCH_LONGER = 1.5


@dataclass(frozen=True)
class PairBatch(SharedBatch):
    """2 N sequences: preferred, other, preferred, other ...

    reference: (T,) log-probability of each labelled token under the model that sampled it.
    """

    reference: Tensor


@dataclass
class Pair:
    """Two responses to one prompt."""

    prompt: Encoded
    preferred: Response
    other: Response


def preference_pairs(group: Group) -> list[Pair]:
    """The pairs of one problem's scored responses; none if no response is right."""
    right = verified(group)
    if not right:
        return []
    best = min(right, key=lambda r: len(r.ids))
    good = {id(r) for r in right}
    longer = [r for r in group.responses if id(r) not in good and len(r.ids) > len(best.ids)]
    longer += [r for r in right if len(r.ids) >= MUCH_LONGER * len(best.ids)]
    return [Pair(group.prompt, best, r) for r in longer]


def dpo_loss(preferred: Tensor, other: Tensor, beta: float) -> Tensor:
    """From the log-ratios log π - log π_ref (N,) of both sides; log 2 while the model is still the reference."""
    return -F.logsigmoid(beta * (preferred - other)).mean()


class DirectPreference(Objective):
    """DPO on batches of pairs.

    Args:
        train: names of the model's parts that are updated.
        beta: how strongly the model is held to the reference. Not published; ours.
        temperature: at which the responses were sampled.
    """

    def __init__(self, train: Sequence[str] = PARTS, beta: float = 0.1, temperature: float = 1.0) -> None:
        super().__init__(train)
        self.beta, self.temperature = beta, temperature

    def setup(self, model: KimiVL) -> None:
        self.policy = Policy.of(model.config, self.temperature)

    def loss(self, model: KimiVL, batch: PackedBatch) -> Loss:
        assert isinstance(batch, PairBatch)
        tokens = token_log_probs(model, self.policy, batch)
        ratio = tokens.log_probs - batch.reference[tokens.place + 1]
        preferred, other = tokens.per_sequence(ratio, len(batch.cu_seqlens) - 1).view(-1, 2).unbind(1)
        parts = {"accuracy": (preferred > other).float().mean(), "margin": (preferred - other).mean()}
        return Loss(dpo_loss(preferred, other, self.beta), parts, tokens.routings)


class PairLoader:
    """`steps` batches of `size` pairs, drawn anew by (seed, step)."""

    def __init__(self, pairs: Sequence[Pair], media: int, size: int, steps: int, seed: int = 0) -> None:
        self.pairs, self.media, self.size, self.steps, self.seed = pairs, media, size, steps, seed

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[PairBatch]:
        for step in range(self.steps):
            chosen = np.random.default_rng([self.seed, step]).choice(len(self.pairs), self.size)
            yield pair_batch([self.pairs[i] for i in chosen], self.media)


def pair_batch(pairs: Sequence[Pair], media: int) -> PairBatch:
    """Pack pairs; `media` is the id of the image placeholder. An opening that was given to a response is not learnt."""
    responses = [r for pair in pairs for r in (pair.preferred, pair.other)]
    owners = [i // 2 for i in range(len(responses))]
    shared = join([p.prompt for p in pairs], owners, [r.ids for r in responses], [r.start for r in responses], media)
    reference = torch.zeros(shared.tokens)
    for r, end in zip(responses, accumulate(shared.cu_seqlens.diff().tolist()), strict=True):
        reference[end - len(r.ids) : end] = torch.tensor(r.log_probs)
    return PairBatch(**vars(shared), reference=reference)


def train_dpo(
    directory: str, pairs: Sequence[Pair], steps: int, lr: float, size: int = 16, beta: float = 0.1, **options: Any
) -> KimiVL:
    """Fine-tune the model of a directory on pairs that it sampled itself at temperature 1; `options` go to the Trainer.

    Raises `UserError` if there is no pair.
    """
    if not pairs:
        raise UserError("no pair of a short right and a long response was found; sample more problems")
    import lightning

    from minikimi.training.module import Schedule, Start, Training

    objective = DirectPreference(beta=beta)
    start, schedule = Start(init_from=directory), Schedule(warmup=0)
    module = Training(objective, steps, lr, start, schedule, bias_update_rate=0.0)
    loader = PairLoader(pairs, module.model.config.media_placeholder_token_id, size, steps)
    trainer = lightning.Trainer(
        max_steps=steps,
        max_epochs=1,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **options,
    )
    trainer.fit(module, loader)
    return module.model
