"""metrics.csv: its columns follow from objective and data, and it survives a kill."""

import csv
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from minikimi.rl.mirror_descent import MirrorDescent
from minikimi.training.module import Start, Training
from minikimi.training.objectives import NextToken
from minikimi.training.records import Records, keep_rows
from minikimi.training.vit import SiglipCaption


def test_rows_after_the_checkpoint_and_cut_rows_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,loss\n1,0.5\n2,0.4\n3,0.3\n4,0.\n5")
    keep_rows(path, ["step", "loss"], 2)
    assert path.read_text().split() == ["step,loss", "1,0.5", "2,0.4"]
    keep_rows(path, ["step", "loss"], 0)
    assert path.read_text().split() == ["step,loss"], "a new run starts a new file"


@pytest.mark.parametrize("objective", [NextToken(), SiglipCaption(width=32, layers=1), MirrorDescent()])
def test_columns_are_those_that_objective_and_data_name(tmp_path: Path, objective) -> None:
    module = Training(objective, 3, 1e-3, Start("nano"))
    records = Records(tmp_path, load_every=1)
    trainer = SimpleNamespace(global_step=0, datamodule=SimpleNamespace(columns=("reward",)))
    records.on_train_start(trainer, module)  # type: ignore[arg-type]
    trainer.global_step = 1
    trainer.optimizers = [SimpleNamespace(param_groups=[{"lr": 0.25}])]
    module.measured = {"loss": torch.tensor(2.0), "reward": torch.tensor(0.5), "grad_norm": torch.tensor(3.0)}
    records.on_train_batch_end(trainer, module, None, None, 0)  # type: ignore[arg-type]
    with records.metrics.open() as file:
        row = next(csv.DictReader(file))
    assert {*objective.columns, "reward"} < set(row)
    assert (row["step"], row["loss"], row["reward"], row["grad_norm"], row["lr"]) == ("1", "2", "0.5", "3", "0.25")
    assert all(row[name] == "" for name in objective.columns)
