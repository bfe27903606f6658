"""The model card: everything in it is read from the run, and what is not there is not told."""

import json
from pathlib import Path

import yaml

from minikimi.files import SHIPPED
from minikimi.report.card import card, write_card

SCORES = {
    "form": "chat",
    "mean": {"score": 0.6, "n": 30},
    "tasks": {"count": {"score": 0.5}, "word": {"score": 0.7}},
    "extras": {"needle": {"score": 1.0}},
}


def fake_stage(stage: Path, commit: str, seed: int = 0) -> None:
    stage.mkdir(parents=True)
    config = {
        "seed_everything": seed,
        "model": {"start": {"preset": "nano"}},
        "made_by": {"commit": commit, "command": "minikimi train --preset nano", "machine": "a loom"},
    }
    (stage / "config.yaml").write_text(yaml.safe_dump(config))
    (stage / "metrics.csv").write_text("step,tokens_per_second,seconds\n1,100,30\n2,200,30\n")
    (stage / "scores.json").write_text(json.dumps(SCORES))


def test_stages_scores_and_origin_of_a_run(tmp_path: Path) -> None:
    fake_stage(tmp_path / "sft", "abc1", seed=0)
    fake_stage(tmp_path / "rl", "abc2", seed=3)
    (tmp_path / "rl" / "gain.json").write_text('{"gain": {"pass@1": 0.05}}')
    evaluation = {"preset": "nano", "mean": {"score": 0.8}, "command": "minikimi evaluate x", "samples": ["not wanted"]}
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    found = card(tmp_path)
    assert (found["preset"], found["commit"], found["machine"]) == ("nano", "abc2", "a loom")
    assert found["command"] == "minikimi train --preset nano", "the command that made it, not that which asked it"
    assert found["seeds"] == [0, 3] and list(found["stages"]) == ["sft", "rl"]
    assert found["stages"]["sft"] == {
        "minutes": 1.0, "steps": 2, "tokens": 9000, "asked_as": "chat", "mean": 0.6, "n": 30,
        "tasks": {"count": 0.5, "word": 0.7, "needle": 1.0},
    }  # fmt: skip
    assert found["gain"] == {"gain": {"pass@1": 0.05}} and "samples" not in found
    assert "CC BY-SA 4.0" in found["licence"]["pictures"] and found["licence"]["weights"].startswith("MIT")


def test_one_stage_alone_has_a_card_too(tmp_path: Path) -> None:
    fake_stage(tmp_path / "run" / "text", "abc")
    write_card(tmp_path / "run", tmp_path)
    found = json.loads((tmp_path / "card.json").read_text())
    assert found["preset"] == "nano" and "gain" not in found and "mean" not in found


def test_a_model_that_is_no_run_has_no_card_and_a_shipped_one_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "official").mkdir()
    write_card(tmp_path / "official", tmp_path)
    assert not (tmp_path / "card.json").exists()
    write_card(Path("small"), tmp_path)
    assert json.loads((tmp_path / "card.json").read_text()) == json.loads((SHIPPED / "small" / "card.json").read_text())
