"""The one LightningModule of all stages: a model, an objective, Muon, a schedule, and the experts' balance (lessons
10 and 11).

Automatic optimisation with a single optimizer object that holds both Muon and AdamW. The number of steps comes from
the configuration, never from the trainer, so that a resumed run has the same schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import lightning
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from minikimi.data.packing import PackedBatch
from minikimi.errors import UserError
from minikimi.model.checkpoint import load_language_model
from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moe import Router, Routing, update_selection_bias
from minikimi.optim import Muon, param_groups, warmup_cosine, warmup_linear
from minikimi.training.objectives import PARTS, Objective


@dataclass(frozen=True)
class Start:
    """The model that a stage begins with.

    preset: size of a fresh model, or
    init_from: a directory to load the model from (a finished stage, or an official checkpoint).
    language_model: a directory to take only the language model of a fresh model from.
    embedding_scale: factor on the word embeddings of a fresh model. Larger ones learn sooner, smaller ones further.
    rope_theta: another rotary base for the language model from this stage on; None keeps the model's own.
    """

    preset: str = "small"
    init_from: str | None = None
    language_model: str | None = None
    embedding_scale: float = 1.0
    rope_theta: float | None = None

    def model(self) -> KimiVL:
        """Load it, or make it with fresh weights."""
        if self.init_from:
            model = KimiVL.from_pretrained(self.init_from)
        else:
            model = KimiVL.from_preset(self.preset)
            model.language_model.model.embed_tokens.weight.data.mul_(self.embedding_scale)
            if self.language_model:
                load_language_model(model, self.language_model)
        if self.rope_theta is not None:
            model.set_rope_theta(self.rope_theta)
        return model


@dataclass(frozen=True)
class Schedule:
    """How the learning rate goes, as a factor on its peak.

    shape: after the warm-up. warmup: steps of linear warm-up. final_ratio: the last rate as a share of the peak.
    """

    shape: Literal["cosine", "linear"] = "cosine"
    warmup: int = 10
    final_ratio: float = 0.1

    def factor(self, steps: int) -> Callable[[int], float]:
        """The factor at each of `steps` optimizer steps."""
        shape = warmup_cosine if self.shape == "cosine" else warmup_linear
        return partial(shape, total=steps, warmup=min(self.warmup, steps), final_ratio=self.final_ratio)


class Training(lightning.LightningModule):
    """Train a model on `objective` for `steps` optimizer steps.

    Args:
        objective: what to minimise and which parts of the model to update.
        steps: optimizer steps of the whole stage.
        lr: peak learning rate of both Muon and AdamW.
        start: the model to begin with.
        schedule: how the learning rate goes.
        weight_decay: decoupled, on every parameter.
        vision_on_adamw: AdamW instead of Muon for the vision tower.
        bias_update_rate: step of the experts' selection bias; 0 leaves it alone.
    """

    def __init__(
        self,
        objective: Objective,
        steps: int,
        lr: float,
        start: Start = Start(),
        schedule: Schedule = Schedule(),
        weight_decay: float = 0.1,
        vision_on_adamw: bool = False,
        bias_update_rate: float = 1e-3,
    ) -> None:
        super().__init__()
        self.model = start.model()
        self.objective = objective
        objective.setup(self.model)
        self.lr, self.weight_decay, self.vision_on_adamw = lr, weight_decay, vision_on_adamw
        self.factor = schedule.factor(steps)
        self.bias_update_rate = bias_update_rate
        self.counts: list[Tensor] = []  # tokens per expert of each expert layer since the last update
        self.tokens = 0
        self.measured: dict[str, Tensor] = {}  # what this step logged; Lightning's own record keeps older values too
        self._freeze_all_but(objective.train_parts)

    def _freeze_all_but(self, parts: tuple[str, ...]) -> None:
        names = [name for name, _ in self.model.named_parameters()]
        for part in parts:
            if not any(name.startswith(part) for name in names):
                raise UserError(f"train: the model has no part {part!r}; it has {', '.join(PARTS)}")
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name.startswith(parts))

    def on_fit_start(self) -> None:
        self.train()  # `fit` does not do it, and loaded models come in evaluation mode

    def on_train_batch_start(self, batch: PackedBatch, batch_idx: int) -> None:
        self.objective.before_step(self.trainer.optimizers[0], batch)

    def training_step(self, batch: PackedBatch, batch_idx: int) -> Tensor:
        loss = self.objective.loss(self.model, batch)
        self._count(loss.routings)
        self.tokens = batch.tokens
        self.measured = {}
        self.record({"loss": loss.total, **loss.parts})
        return loss.total

    def record(self, numbers: Mapping[str, Tensor]) -> None:
        """Log numbers of this step: for metrics.csv, the progress bar and any logger of Lightning's."""
        for name, value in numbers.items():
            self.measured[name] = value.detach()
            self.log(name, self.measured[name], prog_bar=name == "loss", batch_size=1)

    @torch.no_grad()
    def _count(self, routings: list[Routing]) -> None:
        counts = [routing.counts() for routing in routings]
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)] if self.counts else counts

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.counts:
            self.balance([self.all_reduced(c) for c in self.counts])
            self.counts = []

    def all_reduced(self, counts: Tensor) -> Tensor:
        """The sum of `counts` over all processes."""
        return self.trainer.strategy.reduce(counts, reduce_op="sum")

    def balance(self, counts: list[Tensor]) -> None:
        """Move the selection biases towards even load, and log how uneven it was: the busiest expert's excess over
        the mean.
        """
        routers = [module for module in self.model.modules() if isinstance(module, Router)]
        self.load = torch.stack([c.float() / c.sum() for c in counts])  # (expert layers, E)
        self.record({"max_violation": (self.load.max(dim=1).values * self.load.shape[1] - 1).mean()})
        if self.bias_update_rate and any(p.requires_grad for p in self.model.language_model.parameters()):
            for router, count in zip(routers, counts, strict=True):
                update_selection_bias(router, count, self.bias_update_rate)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        limit = gradient_clip_val or float("inf")
        norm = torch.nn.utils.clip_grad_norm_((p for p in self.parameters() if p.grad is not None), limit)
        self.record({"grad_norm": norm})

    def configure_optimizers(self) -> Any:
        groups = param_groups(self, self.lr, self.weight_decay, self.vision_on_adamw)
        optimizer = Muon(groups, lr=self.lr, weight_decay=self.weight_decay)
        scheduler = {"scheduler": LambdaLR(optimizer, self.factor), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}
