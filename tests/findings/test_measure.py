"""Measuring: a quick run of all findings leaves what it should, and processes change none of its numbers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from minikimi.errors import UserError
from minikimi.findings.measure import one_thread, run
from minikimi.findings.registry import NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_leaves_numbers_plot_and_table(quick: Any, name: str) -> None:
    out, rows = quick
    saved = {row["name"]: row for row in json.loads((out / "findings.json").read_text())["findings"]}
    assert saved[name] == rows[name] and saved[name]["quick"] and len(saved[name]["measurements"]) == 1
    assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    line = next(line for line in (out / "findings.md").read_text().splitlines() if line.startswith(f"| {name} |"))
    assert line.endswith("| yes |" if saved[name]["reproduced"] else "| no |") and line.count("|") == 5


@pytest.mark.slow
def test_processes_find_the_same_numbers_and_other_rows_are_kept(quick: Any, tmp_path: Path) -> None:
    (tmp_path / "findings.json").write_text((quick[0] / "findings.json").read_text())
    for name in NAMES:
        (tmp_path / f"{name}.png").write_bytes((quick[0] / f"{name}.png").read_bytes())
    rows = run(["svd_entropy"], tmp_path, seeds=2, quick=True, workers=2)
    assert rows["svd_entropy"]["measurements"][0] == quick[1]["svd_entropy"]["measurements"][0]
    assert rows["svd_entropy"]["measurements"][1] != rows["svd_entropy"]["measurements"][0]
    assert rows["balance"] == quick[1]["balance"]


def test_unknown_names_and_broken_results_end_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown finding 'moun' \(did you mean muon"):
        run(["moun"], tmp_path)
    with pytest.raises(UserError, match="at least 1"):
        run(["muon"], tmp_path, seeds=0)
    (tmp_path / "findings.json").write_text("[1, 2]")
    with pytest.raises(UserError, match="not a file of findings"):
        run(["muon"], tmp_path, quick=True)


def test_the_number_of_threads_comes_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        assert torch.get_num_threads() == 1
        1 / 0  # noqa: B018
    assert torch.get_num_threads() == before
