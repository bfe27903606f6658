"""From settings to trainer, module and data: types, names of mixtures, what is written, what is refused."""

from pathlib import Path

import pytest
import yaml

from minikimi.configs import presets
from minikimi.data.datamodule import PackedData
from minikimi.errors import UserError
from minikimi.rl.rollout_data import RolloutData
from minikimi.training.lightning_cli import CheckedSettings, arguments, build, check, data_class
from minikimi.training.module import Training
from minikimi.training.stages import STAGES

pytestmark = pytest.mark.filterwarnings("ignore:LightningCLI's args parameter", "ignore:.*was deprecated in v4")


def parsed(preset: str, stage: str, *overrides: str):
    args = arguments(preset, stage, None, overrides)
    return CheckedSettings(Training, data_class(args), run=False, args=args, save_config_callback=None).config


@pytest.mark.parametrize("stage", STAGES)
def test_settings_of_every_preset_have_the_right_types(stage: str) -> None:
    for preset in presets():
        config = parsed(preset, stage)
        assert config["model.start.preset"] == preset
        weights = config["data.tasks"]
        for phase in weights if isinstance(weights, list) else [weights]:
            assert phase and all(weight > 0 for weight in phase.values())


@pytest.mark.parametrize("preset", ["nano", "kimi-vl-a3b"])
def test_every_stage_that_ships_passes(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for stage in STAGES:
        check(arguments(preset, stage, None, ()))
    assert list(tmp_path.iterdir()) == []


def test_later_settings_win() -> None:
    with pytest.raises(UserError, match=r"--trainer\.max_steps=0"):
        check(arguments("nano", "sft", None, ["--trainer.max_steps=5", "--trainer.max_steps=0"]))


def test_a_stage_says_which_data_it_reads() -> None:
    assert data_class(arguments("nano", "sft", None, ())) is PackedData
    assert data_class(arguments("nano", "rl", None, ())) is RolloutData
    with pytest.raises(UserError, match=r"data_class 'minikimi\.nowhere\.Data' cannot be imported"):
        data_class(["--config=data_class: minikimi.nowhere.Data"])


def test_the_command_line_goes_over_the_files_and_may_name_mixtures() -> None:
    config = parsed("nano", "joint", "--model.lr=0.5", "--data.tasks={words: 50, six tasks: 50}")
    assert config["model.lr"] == 0.5
    tasks = config["data.tasks"]
    assert {"story", "needle", "caption"} <= set(tasks) and "arithmetic" not in tasks, (
        "names mean what they mean in nano"
    )
    assert parsed("nano", "joint", "--data.tasks=words")["data.tasks"] == {"story": 1, "needle": 1}
    assert parsed("nano", "joint", "--data.tasks={count: 2}")["data.tasks"] == {"count": 2}
    with pytest.raises(UserError, match=r"'wrods'.*did you mean words"):
        parsed("nano", "joint", "--data.tasks=wrods")


def test_what_is_built_has_one_saver_and_says_where_it_comes_from(tmp_path: Path) -> None:
    trainer, module, data = build(arguments("nano", "text", None, ["--trainer.max_steps=7"]), tmp_path)
    assert [Path(str(saver.dirpath)) for saver in trainer.checkpoint_callbacks] == [tmp_path]
    assert trainer.max_steps == 7 and len(data.train_dataloader()) == 7
    assert module.factor(6) < module.factor(3)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert {"commit", "command", "machine", "date", "python"} <= set(config["made_by"])
    assert config["seed_everything"] == 0 and config["data"]["tasks"] == {"story": 1, "needle": 1}
    again = [f"--config={(tmp_path / 'config.yaml').read_text()}"]
    check(again)


def test_checkpoints_of_reinforcement_learning_must_fall_between_iterations(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="checkpoint_every 3 must be a multiple of inner_steps 2"):
        build(arguments("nano", "rl", None, ["--checkpoint_every=3"]), tmp_path)
