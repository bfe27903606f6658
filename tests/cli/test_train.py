"""A training command that cannot run is refused before anything is made: one line, and no folder left behind."""

from collections.abc import Callable
from pathlib import Path

import pytest

Refused = Callable[..., str]
MODEL_CONFIG = '{"text_config": {}, "vision_config": {}}'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--trainer.max_stepz=3"], "--trainer.max_stepz (did you mean --trainer.max_steps?)"),
        (["--trainer.max_step=3"], "did you mean --trainer.max_steps?"),  # half a name is no name
        (["--trainer={max_stepz: 3}"], "did you mean --trainer.max_steps?"),
        (["--model.lr=abc"], "--model.lr=abc: expected float"),
        (["--model.lr"], "--model.lr: expected one argument"),
        (["--model.lr=.nan"], "--model.lr=nan: give a number of at least 0"),
        (["--model.schedule.shape=cosin"], "expected Literal['cosine', 'linear']"),
        (["--model.objective.init_args.trian=[x]"], "did you mean --model.objective.init_args.train?"),
        (["--trainer.max_steps=0"], "--trainer.max_steps=0: give a number of at least 1"),
        (["--checkpoint_every=-1"], "--checkpoint_every=-1: give a number of at least 1"),
        (["--data_class=os.system"], "--data_class=os.system"),
        (["--data.tasks={capton: 1}"], "'capton' (did you mean caption?)"),
        (["--data.form=captoin"], "unknown form 'captoin'"),
        (["--data.dataset=half.jsonl"], "half.jsonl"),
        (["--data.processor=nowhere"], "nowhere"),
        (["--preset", "smal"], "unknown preset 'smal' (did you mean small?)"),
        (["--stage", "sfft"], "unknown stage 'sfft' (did you mean sft?); choose one of text, vit, align"),
        (["--from", "nowhere"], "nowhere: no such directory"),
        (["--from", "half"], "model.safetensors not found"),
        (["--presett", "small"], "unknown argument '--presett' (did you mean --preset?)"),
        (["--reusme"], "unknown argument '--reusme' (did you mean --resume?)"),
        (["x"], "unknown setting x"),
        (["--run", "mine"], "mine already holds sft"),
    ],
)
def test_a_refused_command_changes_nothing(arguments: list[str], words: str, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.json").write_text(MODEL_CONFIG)
    (tmp_path / "half.jsonl").write_text('{"imag')
    (tmp_path / "mine" / "sft").mkdir(parents=True)
    assert words in refused("train", "--preset", "nano", "--stage", "sft", *arguments)


def test_settings_of_all_stages_are_checked_before_the_first(refused: Refused) -> None:
    """Reinforcement learning, the last stage, has no setting `data.form`."""
    assert "unknown setting --data.form" in refused("train", "--preset", "nano", "--data.form=chat")


def test_what_a_stage_starts_from_is_asked_for_before_a_folder_is_made(refused: Refused) -> None:
    assert "add --from" in refused("train", "--preset", "nano", "--stage", "longcot")


def test_a_mistake_does_not_cost_the_old_run(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "mine" / "sft").mkdir(parents=True)
    (tmp_path / "mine" / "sft" / "metrics.csv").write_text("step\n")
    command = ["train", "--preset", "nano", "--stage", "sft", "--run", "mine", "--overwrite"]
    assert "expected float" in refused(*command, "--model.lr=abc")
