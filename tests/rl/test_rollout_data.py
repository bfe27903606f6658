"""Rollouts for Lightning: the prompt set is kept, and settings that contradict each other are refused."""

from pathlib import Path

import pytest

from minikimi.errors import UserError
from minikimi.rl.mirror_descent import MirrorDescent
from minikimi.rl.rollout_data import RolloutData, check_agreement
from minikimi.rl.rollout_settings import RolloutSettings
from minikimi.rl.scoring import metric_names
from minikimi.world import PictureWorld


def test_the_prompt_set_is_found_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = RolloutData(1, RolloutSettings(), {"number": 1.0}, pool=5, filter_prompts=True)
    world = PictureWorld(0, "train", {"number": 1.0})
    answers = iter([[False, True, False, True, False]])
    monkeypatch.setattr("minikimi.rl.rollout_data.filter_prompts", lambda *_, **__: next(answers))
    assert [data.kept(None, world, tmp_path) for _ in range(2)] == [[1, 3]] * 2  # type: ignore[arg-type]
    (tmp_path / "prompts.json").write_text('{"pool": 5, "kept": []}')
    with pytest.raises(UserError, match="none of 5 problems is sometimes solved"):
        data.kept(None, world, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("objective", "settings", "words"),
    [
        ({"temperature": 0.7}, {}, "temperature 0.7 of the objective, 1.0 of the rollouts"),
        ({"replay_routing": True}, {}, "set data.settings.record_experts to true"),
        ({"temperature": 0.7, "replay_routing": True}, {"temperature": 0.7, "record_experts": True}, ""),
    ],
)
def test_objective_and_rollouts_must_agree(objective: dict, settings: dict, words: str) -> None:
    pair = MirrorDescent(["language_model"], **objective), RolloutSettings(**settings)
    if not words:
        return check_agreement(*pair)
    with pytest.raises(UserError, match=words):
        check_agreement(*pair)


def test_checkpoints_within_an_iteration_are_refused_before_anything_is_sampled() -> None:
    settings = RolloutSettings(inner_steps=2)
    assert RolloutData(1, settings, checkpoint_every=4).columns == metric_names(settings)
    with pytest.raises(UserError, match="checkpoint_every 3 must be a multiple of inner_steps 2"):
        RolloutData(1, settings, checkpoint_every=3)
