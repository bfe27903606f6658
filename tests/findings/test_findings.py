"""Findings: the machinery runs and writes what it should, and every verdict can say no."""

import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from minikimi.errors import UserError
from minikimi.findings import svd_entropy as spectra
from minikimi.findings.finding import Measurement
from minikimi.findings.measure import run
from minikimi.findings.muon import equal_share
from minikimi.findings.registry import NAMES, load
from minikimi.findings.resolution import CELL, TESTED, Neighbours, scenes, tiles
from minikimi.findings.texts import as_text, batches, world
from minikimi.findings.toy_training import optimizer_of, text_model, train
from minikimi.findings.trained import trained_rows

# Measurements that show the paper's effect, and the changes that turn it around: for each finding, what one seed found.
SHOWN: dict[str, Measurement] = {
    "muon": {"share": 0.5, "lr_muon": 1e-2, "lr_adamw": 3e-3, "muon": [2.0, 1.5, 1.0, 0.9, 0.8], "adamw": 1.0},
    "decay": {
        "steps": [1, 2, 3, 4], "with": [3.0, 2.0, 1.5, 1.0], "without": [2.5, 1.9, 1.6, 1.2], "final_with": 1.0,
        "final_without": 1.2, "growth_with": 1.5, "growth_without": 3.0,
    },
    "update_rms": {"losses": [3.5, 3.4, 3.3, 3.35, 3.5], "rms_muon": 0.19, "rms_adamw": 0.3, "by_matrix": [0.19]},
    "svd_entropy": {
        "muon": 0.95, "adamw": 0.9, "attention_muon": 0.95, "attention_adamw": 0.93, "dense_muon": 0.95,
        "dense_adamw": 0.93, "experts_muon": 0.95, "experts_adamw": 0.93, "router_muon": 0.95, "router_adamw": 0.85,
    },
    "muon_sft": {"muon_muon": 1.0, "muon_adamw": 1.1, "adamw_muon": 1.3, "adamw_adamw": 1.2},
    "balance": {
        "steps": [1], "with": [0.2], "without": [1.0], "final_with": 0.2, "final_without": 1.0, "loss_with": 1.0,
        "loss_without": 1.0,
    },
    "resolution": {"with": [99.0, 98.0, 97.0], "without": [99.0, 40.0, 30.0]},
    "needle": {"before": [95.0, 20.0], "after": [95.0, 94.0]},
    "cot": {"think": 80.0, "chat": 40.0},
    "rl": {"before": 40.0, "after": 50.0, "gain": 10.0, "low": 6.0, "high": 14.0, "success": [40.0, 50.0]},
    "length_penalty": {
        "with": [40.0, 20.0], "without": [40.0, 40.0], "tokens_with": 20.0, "tokens_without": 40.0, "right_with": 50.0,
        "right_without": 50.0,
    },
    "test_time": {"right": [5.0, 10.0, 20.0, 40.0, 60.0, 70.0, 70.0], "thinking": 40.0},
}  # fmt: skip
TURNED: list[tuple[str, Measurement]] = [
    ("muon", {"share": 1.0}),
    ("muon", {"share": None}),  # Muon never gets there
    ("decay", {"final_with": 1.2, "final_without": 1.0}),
    ("decay", {"with": [2.5, 1.8, 1.5, 1.0]}),  # no decay never leads
    ("decay", {"growth_without": 1.0}),
    ("update_rms", {"rms_muon": 0.1}),
    ("update_rms", {"losses": [3.1, 3.2, 3.3, 3.4, 3.5]}),
    ("svd_entropy", {"muon": 0.9, "adamw": 0.95}),
    ("svd_entropy", {"router_adamw": 0.95}),  # higher, but not most of all in the router
    ("muon_sft", {"muon_muon": 1.1, "muon_adamw": 1.0}),
    ("muon_sft", {"adamw_muon": 1.1, "adamw_adamw": 1.2}),  # helps after AdamW as well
    ("balance", {"final_with": 1.0, "final_without": 0.2}),
    ("resolution", {"with": [99.0, 40.0, 30.0], "without": [99.0, 98.0, 97.0]}),
    ("needle", {"before": [95.0, 94.0]}),  # found before already
    ("needle", {"after": [95.0, 20.0]}),
    ("cot", {"think": 40.0, "chat": 80.0}),
    ("rl", {"gain": 1.0, "low": -2.0}),
    ("length_penalty", {"tokens_with": 40.0}),
    ("length_penalty", {"right_with": 40.0}),  # shorter, but at a price
    ("test_time", {"right": [60.0] * 7}),
    ("test_time", {"right": [5.0, 10.0, 20.0, 70.0, 30.0, 70.0, 70.0]}),
]


def test_every_finding_is_judged_here() -> None:
    assert set(SHOWN) == set(NAMES) == {name for name, _ in TURNED}


@pytest.mark.parametrize("name", NAMES)
def test_verdict_says_yes_where_the_effect_is(name: str) -> None:
    verdict = load(name).judge([SHOWN[name]] * 3)
    assert verdict.reproduced and re.search(r"\d", verdict.sentence)


@pytest.mark.parametrize(("name", "change"), TURNED)
def test_verdict_says_no_where_it_is_not(name: str, change: Measurement) -> None:
    turned = {**SHOWN[name], **change}
    assert not load(name).judge([turned] * 3).reproduced


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"update_rms", "svd_entropy", "test_time"}))
def test_one_seed_against_the_claim_is_enough_for_a_no(name: str) -> None:
    """Three parts of the rules speak of the mean over seeds; everything else holds for each seed."""
    change = next(change for turned, change in TURNED if turned == name)
    assert not load(name).judge([SHOWN[name], SHOWN[name], {**SHOWN[name], **change}]).reproduced


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("findings")
    return out, run([], out, seeds=1, quick=True, command="minikimi findings --quick --seeds 1")


@pytest.mark.parametrize("name", NAMES)
def test_a_quick_run_leaves_numbers_plot_and_table(quick: Any, name: str) -> None:
    out, rows = quick
    saved = {row["name"]: row for row in json.loads((out / "findings.json").read_text())["findings"]}
    assert saved[name] == rows[name] and saved[name]["quick"] and len(saved[name]["measurements"]) == 1
    assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    line = next(line for line in (out / "findings.md").read_text().splitlines() if line.startswith(f"| {name} |"))
    assert line.endswith("| yes |" if saved[name]["reproduced"] else "| no |") and line.count("|") == 5


def test_the_page_needs_nothing_else(quick: Any) -> None:
    assert Image.open(quick[0] / "findings.png").size == (3 * 520, 4 * 320)
    text = (quick[0] / "findings.html").read_text()
    assert text.count("data:image/png;base64,") == len(NAMES)
    assert not re.search(r"""(src|href)=["']?(http|//|[a-z_]+\.png)""", text) and "<script" not in text


def test_processes_find_the_same_numbers_and_other_rows_are_kept(quick: Any, tmp_path: Any) -> None:
    (tmp_path / "findings.json").write_text((quick[0] / "findings.json").read_text())
    for name in NAMES:
        (tmp_path / f"{name}.png").write_bytes((quick[0] / f"{name}.png").read_bytes())
    rows = run(["svd_entropy"], tmp_path, seeds=2, quick=True, workers=2)
    assert rows["svd_entropy"]["measurements"][0] == quick[1]["svd_entropy"]["measurements"][0]
    assert rows["svd_entropy"]["measurements"][1] != rows["svd_entropy"]["measurements"][0]
    assert rows["balance"] == quick[1]["balance"]


def test_a_trained_run_is_laid_beside(tmp_path: Any) -> None:
    assert trained_rows(tmp_path / "none") == {}
    for stage, score, recall in (("cooldown", 0.2, [[1.0, 1.0], [0.0, 0.5], [None, None]]), ("long2", 0, [[1, 1]] * 3)):
        (tmp_path / stage).mkdir()
        table = {"lengths": [128, 512, 2048], "depths": [0, 1], "recall": recall}
        (tmp_path / stage / "scores.json").write_text(json.dumps({"needle_map": table, "mean": {"score": score}}))
    (tmp_path / "rl").mkdir()
    gain = {
        "problems": 192, "before": {"pass@1": 0.7}, "after": {"pass@1": 0.75, "tokens": 30.0},
        "gain": {"pass@1": 0.05, "interval": [0.01, 0.1]}, "before_length": {"tokens": 40.0},
        "by_length": {"pass@1": -0.005},
    }  # fmt: skip
    (tmp_path / "rl" / "gain.json").write_text(json.dumps(gain))
    (tmp_path / "evaluation.json").write_text(json.dumps({"test_time_scaling": None}))  # a model that does not think
    rows = trained_rows(tmp_path)
    assert set(rows) == {"needle", "rl", "length_penalty"}
    assert "before 128 tokens 100 %, 512 tokens 25 %; after 128 tokens 100 %" in rows["needle"]
    assert "192 held-out sums 70.0 % before and 75.0 % after; gain +5.0 points (+1.0 to +10.0)" in rows["rl"]
    assert "40.0 tokens when the length reward began, 30.0 at the end; pass@1 -0.5 points" in rows["length_penalty"]


def test_unknown_names_and_broken_results_end_in_one_line(tmp_path: Any) -> None:
    with pytest.raises(UserError, match=r"unknown finding 'moun' \(did you mean muon"):
        run(["moun"], tmp_path)
    with pytest.raises(UserError, match="at least 1"):
        run(["muon"], tmp_path, seeds=0)
    (tmp_path / "findings.json").write_text("[1, 2]")
    with pytest.raises(UserError, match="not a file of findings"):
        run(["muon"], tmp_path, quick=True)


def test_budget_at_equal_loss_lies_between_the_measured_ones() -> None:
    assert equal_share([0.25, 0.5, 1.0], [3.0, 2.0, 1.0], 1.5) == 0.75
    assert equal_share([0.25, 0.5, 1.0], [3.0, 2.0, 1.0], 5.0) == 0.25
    assert equal_share([0.25, 0.5, 1.0], [3.0, 2.0, 1.0], 0.5) is None


def test_the_factor_scales_the_matrices_and_leaves_their_decay() -> None:
    groups = {g["name"]: g for g in optimizer_of(text_model(0), "muon", 1e-2, 0.1, update_rms=0.4).param_groups}
    assert groups["muon"]["lr"] == pytest.approx(2e-2) and groups["adamw"]["lr"] == pytest.approx(1e-2)
    assert groups["muon"]["lr"] * groups["muon"]["weight_decay"] == pytest.approx(1e-3)
    assert not any(g["use_muon"] for g in optimizer_of(text_model(0), "adamw", 1e-2).param_groups)


def test_training_is_repeatable_and_learns() -> None:
    data = batches(world(3), as_text, 12, 256)
    first, second = (train(text_model(3), data, 1e-2).losses for _ in range(2))
    assert first == second and first[-1] < first[0] - 2


def test_svd_entropy_of_known_matrices() -> None:
    one_direction = torch.outer(torch.arange(1.0, 5.0), torch.ones(3))
    two_equal = torch.diag(torch.tensor([2.0, 2.0, 0.0, 0.0]))  # log 2 / log 4
    values = [spectra.svd_entropy(m[None]) for m in (torch.eye(4), one_direction, two_equal)]
    assert values == pytest.approx([1.0, 0.0, 0.5], abs=1e-6)


def test_neighbour_labels_and_the_two_kinds_of_positions() -> None:
    """The label of a cell is the thing drawn to its right. Without rotation and table, patches in another order give
    the same outputs in that order; with rotation they do not."""
    pixels, grids, labels = scenes(np.random.default_rng(0), (3, 3), 1)
    image = pixels.unflatten(0, (6, 6)).permute(2, 0, 3, 1, 4).reshape(3, 3 * CELL, 3 * CELL)
    for i, label in enumerate(labels.view(3, 3)[:, :2].flatten().tolist()):
        row, column = divmod(i, 2)
        shown = image[:, row * CELL : (row + 1) * CELL, (column + 1) * CELL : (column + 2) * CELL]
        assert torch.equal(shown, tiles()[label])
    assert (labels.view(3, 3)[:, 2] == -100).all() and TESTED[0] == 4
    torch.manual_seed(0)
    with_rotation, without = Neighbours(True), Neighbours(False)
    without.load_state_dict(with_rotation.state_dict())
    for model in (with_rotation, without):
        torch.nn.init.zeros_(model.vision_tower.patch_embed.pos_emb.weight)
    swapped = pixels.unflatten(0, (6, 6)).flip(1).flatten(0, 1)  # columns of patches in reverse order
    mixed = without.vision_tower.patches(swapped, grids).unflatten(0, (6, 6)).flip(1).flatten(0, 1)
    assert torch.allclose(mixed, without.vision_tower.patches(pixels, grids), atol=1e-4)
    turned = with_rotation.vision_tower.patches(swapped, grids).unflatten(0, (6, 6)).flip(1).flatten(0, 1)
    assert not torch.allclose(turned, with_rotation.vision_tower.patches(pixels, grids), atol=1e-4)
