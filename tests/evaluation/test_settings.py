"""How much an evaluation asks: every preset's settings are read, wrong ones are named."""

from dataclasses import replace

import pytest

from minikimi import configs
from minikimi.errors import UserError
from minikimi.evaluation.settings import check, settings

GOOD = configs.settings("small", "evaluate")


@pytest.mark.parametrize("preset", configs.presets())
def test_settings_of_every_preset_are_read(preset: str) -> None:
    whole = settings(preset)
    short = whole.for_stage()
    assert short.per_task == whole.stage_per_task <= whole.per_task
    assert short.needles_per_cell == whole.stage_needles <= whole.needles_per_cell


def test_depths_go_from_start_to_end() -> None:
    assert replace(settings("small"), needle_depths=3).depths == [0, 0.5, 1]
    assert replace(settings("small"), needle_depths=1).depths == [0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"per_task": 0}, "small: per_task must be a whole number of at least 1"),
        ({"per_task": "40"}, "per_task"),
        ({"per_task": True}, "per_task"),
        ({"poem": 1}, "unknown entry poem"),
        ({"scaling_limits": [8, 0]}, "rising"),
        ({"needle_lengths": []}, "needle_lengths"),
    ],
)
def test_wrong_settings_are_named(change: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        check(GOOD | change, "small")


def test_a_missing_setting_is_named() -> None:
    with pytest.raises(UserError, match="no entry seed"):
        check({name: value for name, value in GOOD.items() if name != "seed"}, "small")
