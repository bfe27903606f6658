"""Settings of the rollouts are refused before anything is loaded."""

from typing import Any

import pytest

from minikimi.errors import UserError
from minikimi.rl.rollout_settings import RolloutSettings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"samples": 1}, "samples at least 2"),
        ({"max_new_tokens": 0}, "at least 1"),
        ({"segment": 0}, "at least 1"),
        ({"rewards": {}}, "one reward is needed"),
        ({"rewards": {"exact": 1.0, "os.system": 1.0}}, "unknown reward 'os.system'; choose exact"),
    ],
)
def test_refusals(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        RolloutSettings(**settings)


def test_what_is_there_by_default_is_accepted() -> None:
    assert RolloutSettings().rewards == {"exact": 1.0} and RolloutSettings(segment=None, samples=2).segment is None
