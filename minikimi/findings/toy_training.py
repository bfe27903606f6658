"""The bare training loop of the findings: a tiny text model, Muon or AdamW, and what is noted on the way (lesson 08).

One function trains, so that two runs of a comparison differ in the argument that is compared and in nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from minikimi.data import PackedBatch
from minikimi.model.config import KimiVLConfig
from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moe import Router, update_selection_bias
from minikimi.optim import Muon, param_groups, warmup_cosine
from minikimi.optim.muon import ADAMW_RMS

Rule = Literal["muon", "adamw"]


@dataclass
class Trace:
    """What training left behind: the loss of every step, and the experts' max violation of every step."""

    losses: list[float] = field(default_factory=list)
    violations: list[float] = field(default_factory=list)

    def last(self, share: float = 0.1) -> float:
        """Mean loss of the last `share` of the steps."""
        tail = self.losses[-max(1, round(share * len(self.losses))) :]
        return sum(tail) / len(tail)


def text_model(seed: int, **text: Any) -> KimiVL:
    """A fresh `nano` model (2 layers of width 64, 8 experts) whose vision half stands still; `text` changes fields of
    its text configuration. Weights start at the range of `small`: 0.02 is made for layers thirty times as wide.
    """
    config = KimiVLConfig.preset("nano")
    torch.manual_seed(seed)
    fields = {"initializer_range": 0.05, **text}
    model = KimiVL(replace(config, text_config=replace(config.text_config, **fields)))
    model.vision_tower.requires_grad_(False)
    model.multi_modal_projector.requires_grad_(False)
    return model


def optimizer_of(
    model: nn.Module, rule: Rule, lr: float, weight_decay: float = 0.1, update_rms: float = ADAMW_RMS
) -> Muon:
    """Muon with its usual groups, or the same groups all on AdamW.

    `update_rms` scales the matrices' updates alone: their rate changes and their decay changes inversely, since decay
    uses the unscaled rate.
    """
    groups = param_groups(model, lr, weight_decay)
    for group in groups:
        group["use_muon"] = group["use_muon"] and rule == "muon"
        if group["use_muon"]:
            group["lr"] *= update_rms / ADAMW_RMS
            group["weight_decay"] *= ADAMW_RMS / update_rms
    return Muon(groups, lr, weight_decay)


def train(
    model: KimiVL,
    batches: Sequence[PackedBatch],
    lr: float,
    rule: Rule = "muon",
    weight_decay: float = 0.1,
    update_rms: float = ADAMW_RMS,
    bias_rate: float = 1e-3,
    each_step: Callable[[int], None] | None = None,
) -> Trace:
    """One pass over `batches`: warm-up of a twentieth, cosine to a tenth, gradients clipped to norm 1."""
    optimizer = optimizer_of(model, rule, lr, weight_decay, update_rms)
    peaks = [group["lr"] for group in optimizer.param_groups]
    trace = Trace()
    model.train()
    for step, batch in enumerate(batches):
        factor = warmup_cosine(step, len(batches), len(batches) // 20)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * factor
        out = model(batch.input_ids, labels=batch.labels, cu_seqlens=batch.cu_seqlens)
        out.loss.backward()
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        trace.losses.append(out.loss.item())
        trace.violations.append(balance(model, [routing.counts() for routing in out.routings], bias_rate))
        if each_step is not None:
            each_step(step)
    return trace


@torch.no_grad()
def balance(model: nn.Module, counts: Sequence[Tensor], rate: float) -> float:
    """Move the selection biases by `rate`; returns the busiest expert's excess over the mean, averaged over layers."""
    routers = [module for module in model.modules() if isinstance(module, Router)]
    for router, count in zip(routers, counts, strict=True):
        if rate:
            update_selection_bias(router, count, rate)
    excess = [float(count.max() / count.float().mean()) - 1 for count in counts]
    return sum(excess) / len(excess)


@torch.inference_mode()
def loss_on(model: KimiVL, batches: Sequence[PackedBatch]) -> float:
    """Mean loss over batches that training has not seen."""
    model.eval()
    losses = [model(b.input_ids, labels=b.labels, cu_seqlens=b.cu_seqlens).loss.item() for b in batches]
    return sum(losses) / len(losses)


def matrices_of(model: nn.Module) -> dict[str, tuple[nn.Parameter, int]]:
    """The parameters that Muon moves, by name, each with its number of row blocks."""
    groups = [group for group in param_groups(model, 1.0) if group["use_muon"]]
    return {
        name: (p, group["row_blocks"])
        for group in groups
        for name, p in zip(group["param_names"], group["params"], strict=True)
    }
