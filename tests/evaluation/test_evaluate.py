"""Evaluating from the command line: a run, a model directory, and a shipped model by its name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageColor

from minikimi import files
from minikimi.cli import main
from minikimi.errors import UserError
from minikimi.evaluation import evaluate as module
from minikimi.evaluation.facts import results_directory
from minikimi.evaluation.overview import RIGHT, WRONG, draw_overview
from minikimi.evaluation.settings import settings
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor

OPTIONS = replace(
    settings("nano"), per_task=1, answer_tokens=2, thinking_tokens=2, prior_samples=3, needle_lengths=(128,),
    needle_depths=1, scaling_limits=(0,), scaling_per_task=1, shown=2,
)  # fmt: skip


def save(directory: Path) -> None:
    KimiVL.from_preset("nano").save_pretrained(directory)
    Processor.small().save_pretrained(directory)


def test_results_land_in_the_run_and_nowhere_inside_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "shipped")
    for directory in ("runs/mine/model", "runs/mine/sft/model", "download", "shipped/tiny"):
        save(tmp_path / directory)
    assert results_directory(Path("runs/mine")) == Path("runs/mine")
    assert results_directory(Path("runs/mine/sft")) == Path("runs/mine/sft")
    for name in ("download", "download/", "./download", str(tmp_path / "download")):
        assert results_directory(Path(name)) == Path("runs/evaluate-download")
    assert results_directory(Path("tiny")) == Path("runs/evaluate-tiny")
    with pytest.raises(UserError, match="nowhere: no such directory"):
        results_directory(Path("nowhere"))


def test_a_shipped_model_is_evaluated_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "SHIPPED", tmp_path / "shipped")
    monkeypatch.setattr(module, "settings", lambda preset: OPTIONS)
    save(tmp_path / "shipped" / "tiny")
    before = sorted((tmp_path / "shipped" / "tiny").iterdir())
    assert main(["evaluate", "tiny"]) == 0
    assert "chance" in capsys.readouterr().out
    out = tmp_path / "runs" / "evaluate-tiny"
    result: dict[str, Any] = json.loads((out / "evaluation.json").read_text())
    assert Image.open(out / "samples.png").size == (960, 344)  # one row of at most four
    assert result["preset"] == "nano" and result["stages"] == {} and result["command"] == "minikimi evaluate tiny"
    tables = [result["mean"], *(row for name in ("benchmarks", "tasks", "extras") for row in result[name].values())]
    assert all(0 <= row["chance"] <= 1 for row in tables)
    html = (out / "report.html").read_text()
    assert "This run has no finished model." not in html and "<th>chance</th>" in html
    assert sorted((tmp_path / "shipped" / "tiny").iterdir()) == before and not (tmp_path / "tiny").exists()


def test_the_overview_colours_right_and_wrong_and_survives_odd_text(tmp_path: Path) -> None:
    """Five samples make two rows; what a model wrote is drawn as it is, never as mathematics."""
    Image.new("RGB", (28, 56), "blue").save(tmp_path / "a.png")
    sample = {"task": "flag", "question": "哪个国家?", "raw": "$\\frac{1$ ◁think▷x◁/think▷y", "truth": "z" * 300}
    for correct, present, absent in ((True, RIGHT, WRONG), (False, WRONG, RIGHT)):
        draw_overview(tmp_path, [{**sample, "images": ["a.png"] * n, "correct": correct} for n in (0, 1, 2, 7, 40)])
        page = Image.open(tmp_path / "samples.png").convert("RGB")
        assert page.size == (960, 664)
        colours = [ImageColor.getrgb(colour) for colour in (present, absent)]
        seen = [min(sum(abs(a - b) for a, b in zip(c, wanted, strict=True)) for _, c in page.getcolors(10**6))
                for wanted in colours]  # fmt: skip
        assert seen[0] < 60 < 120 < seen[1]
