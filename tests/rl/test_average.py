"""The average of two models."""

from pathlib import Path

import pytest
import torch
from tiny_models import tiny_model

from minikimi.errors import UserError
from minikimi.rl.average import average


def test_average_of_two_models(tmp_path: Path) -> None:
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
