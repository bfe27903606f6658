"""Settings are checked without a trainer, a model or a folder; every stage that ships passes."""

from pathlib import Path

import pytest

from minikimi.errors import UserError
from minikimi.training.lightning_cli import check
from minikimi.training.run import STAGES, known_stages, stage_arguments

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args parameter")  # pytest has arguments of its own


@pytest.mark.parametrize("preset", ["nano", "kimi-vl-a3b"])
def test_every_stage_that_ships_passes(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for stage in STAGES:
        check(stage_arguments(preset, stage, None, ()))
    assert list(tmp_path.iterdir()) == []


def test_later_settings_win() -> None:
    with pytest.raises(UserError, match=r"--trainer\.max_steps=0"):
        check(stage_arguments("nano", "sft", None, ["--trainer.max_steps=5", "--trainer.max_steps=0"]))


def test_known_stages_are_those_of_the_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minikimi.training.run.CONFIGS", tmp_path)
    (tmp_path / "mini").mkdir()
    for name in ("sft", "text", "evaluate"):
        (tmp_path / "mini" / f"{name}.yaml").touch()
    assert known_stages("mini") == ["text", "sft", "long"]
