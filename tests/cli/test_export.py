"""`minikimi export`: the same model in another directory, with what is known about its run."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from minikimi.cli import main
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.report.card import LICENCE


def test_a_run_is_written_with_its_card(tmp_path: Path, refused: Callable[..., str]) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    KimiVL.from_preset("nano").save_pretrained(run / "model")
    Processor.small().save_pretrained(run / "model")
    (run / "evaluation.json").write_text(json.dumps({"preset": "nano", "samples": []}))
    (run / "sft").mkdir()
    (run / "sft" / "config.yaml").write_text("seed_everything: 3\n")
    assert main(["export", str(run), str(out)]) == 0
    a, b = (load_file(d / "model.safetensors") for d in (run / "model", out))
    assert all(torch.equal(a[name].to(b[name].dtype), b[name]) for name in a)
    card = json.loads((out / "card.json").read_text())
    assert card == {"preset": "nano", "seeds": [3], "stages": {}, "licence": LICENCE}
    assert "exists already" in refused("export", str(run), str(out))


def test_the_empty_name_is_not_the_current_directory(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "config.json").write_text("mine")
    assert "exists already" in refused("export", "small", "")
