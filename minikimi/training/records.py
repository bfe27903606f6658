"""What a stage writes while it trains: metrics.csv and expert_load.csv, one row per step, that survive a kill and a
resume.

On resume the rows after the checkpoint are dropped, because those steps run again. Lightning's own CSV logger deletes
the file instead.
"""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import lightning
import torch

from minikimi.training.module import Training

FIRST = ("step", "loss")  # columns of every stage, before those that its objective and its data name,
LAST = ("lr", "grad_norm", "max_violation", "tokens_per_second", "seconds")  # and after them


def keep_rows(path: Path, header: list[str], last_step: int) -> None:
    """Start `path` with `header`, keeping the whole rows of an earlier run up to `last_step` (column `step`)."""
    rows = []
    if path.is_file() and last_step > 0:
        with path.open(newline="") as file:
            old = list(csv.reader(file))
        rows = [r for r in old[1:] if len(r) == len(header) and r[0].isdigit() and int(r[0]) <= last_step]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


class Records(lightning.Callback):
    """Append one row per optimizer step to `directory`/metrics.csv and, every `load_every` steps, one per expert
    layer to expert_load.csv.
    """

    def __init__(self, directory: Path, load_every: int = 10) -> None:
        self.metrics, self.loads = directory / "metrics.csv", directory / "expert_load.csv"
        self.load_every = load_every
        self.columns: list[str] = []
        self.clock = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        assert isinstance(pl_module, Training)
        experts = pl_module.model.config.text_config.n_routed_experts
        of_data = getattr(getattr(trainer, "datamodule", None), "columns", ())
        self.columns = [*FIRST, *pl_module.objective.columns, *of_data, *LAST]
        keep_rows(self.metrics, self.columns, trainer.global_step)
        keep_rows(self.loads, ["step", "layer", *(f"expert_{i}" for i in range(experts))], trainer.global_step)
        self.clock = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Training)
        now = time.perf_counter()
        seconds, self.clock = now - self.clock, now
        step = trainer.global_step
        values: dict[str, Any] = {name: float(value) for name, value in pl_module.measured.items()}
        values |= {"step": step, "lr": trainer.optimizers[0].param_groups[0]["lr"], "seconds": round(seconds, 4)}
        values["tokens_per_second"] = round(pl_module.tokens / max(seconds, 1e-9), 1)
        with self.metrics.open("a", newline="") as file:
            csv.writer(file).writerow([_short(values.get(name, "")) for name in self.columns])
        load = getattr(pl_module, "load", torch.empty(0))
        if step % self.load_every == 0 and len(load):
            with self.loads.open("a", newline="") as file:
                csv.writer(file).writerows([step, i, *map(_short, row)] for i, row in enumerate(load.tolist()))


def _short(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
