"""What a stage minimises. Most stages predict the next token; the ViT stage has an objective of its own in `vit.py`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minikimi.data.packing import PackedBatch
from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moe import Routing, sequence_aux_loss

PARTS = ("vision_tower", "multi_modal_projector", "language_model")  # of the model; a stage trains some or all


@dataclass
class Loss:
    """What an objective makes of a batch."""

    total: Tensor  # the scalar to minimise
    parts: dict[str, Tensor]  # what it is made of, for the log
    routings: list[Routing]  # one per expert layer that took part


class Objective(nn.Module, ABC):
    """An objective: the names of the model's parts it trains, and a loss.

    It may own parameters that live only in its stage. `columns` names what its parts add to metrics.csv.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, train: Sequence[str] = PARTS) -> None:
        super().__init__()
        self.train_parts = tuple(train)

    def setup(self, model: KimiVL) -> None:
        """Build what depends on the model's size."""

    def before_step(self, optimizer: Optimizer, batch: PackedBatch) -> None:
        """Called before each batch. Reinforcement learning starts its optimizer afresh here."""

    @abstractmethod
    def loss(self, model: KimiVL, batch: PackedBatch) -> Loss:
        """The loss of one packed batch."""


class NextToken(Objective):
    """Cross entropy of the next token, wherever the batch has a label, plus the balance loss of the experts.

    Alignment trains `vision_tower` and `multi_modal_projector` only; text pre-training `language_model` only; all
    other stages train everything. Source: Kimi-VL report (arXiv 2504.07491), sections 2.3 and 2.4.

    Args:
        train: names of the model's parts that are updated.
        aux_loss: weight of the sequence balance loss; None takes `aux_loss_alpha` of the config.
    """

    columns = ("loss_text", "loss_balance")

    def __init__(self, train: Sequence[str] = PARTS, aux_loss: float | None = None) -> None:
        super().__init__(train)
        self.aux_loss = aux_loss

    def loss(self, model: KimiVL, batch: PackedBatch) -> Loss:
        images = batch.pixel_values, batch.grid_hws
        out = model(batch.input_ids, *images, labels=batch.labels, cu_seqlens=batch.cu_seqlens)
        assert out.loss is not None
        return self.with_balance(model, out.loss, out.routings, batch.cu_seqlens)

    def with_balance(self, model: KimiVL, text: Tensor, routings: list[Routing], cu_seqlens: Tensor) -> Loss:
        """`text`, the cross entropy, plus the weighted balance loss of sequences with these bounds (S + 1,)."""
        alpha = model.config.text_config.aux_loss_alpha if self.aux_loss is None else self.aux_loss
        aux = torch.stack([sequence_aux_loss(routing, cu_seqlens) for routing in routings]).sum()
        return Loss(text + alpha * aux, {"loss_text": text, "loss_balance": aux}, routings)
