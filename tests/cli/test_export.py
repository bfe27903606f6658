"""`minikimi export`: the same model in another directory, with what is known about its run."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from minikimi.cli import main
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor
from minikimi.report.card import LICENCE


def test_a_run_is_written_with_its_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    KimiVL.from_preset("nano").save_pretrained(run / "model")
    Processor.small().save_pretrained(run / "model")
    (run / "evaluation.json").write_text(json.dumps({"preset": "nano", "samples": []}))
    (run / "sft").mkdir()
    (run / "sft" / "config.yaml").write_text("seed_everything: 3\n")
    assert main(["export", str(run), str(out)]) == 0
    a, b = (load_file(d / "model.safetensors") for d in (run / "model", out))
    assert all(torch.equal(a[name].to(b[name].dtype), b[name]) for name in a)
    assert json.loads((out / "card.json").read_text()) == {
        "preset": "nano", "seeds": [3], "stages": {}, "licence": LICENCE,
    }  # fmt: skip
    before = sorted(p.stat().st_mtime_ns for p in out.iterdir())
    assert main(["export", str(run), str(out)]) == 2 and "exists already" in capsys.readouterr().err
    assert sorted(p.stat().st_mtime_ns for p in out.iterdir()) == before


def test_the_empty_name_is_not_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text("mine")
    assert main(["export", "small", ""]) == 2 and "exists already" in capsys.readouterr().err
    assert (tmp_path / "config.json").read_text() == "mine"
