"""`minikimi evaluate`: options that do not go together, or do not exist. Its results: tests/evaluation."""

from collections.abc import Callable

import pytest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["nowhere"], "nowhere: no such directory"),
        (["small", "--preset", "smal"], "unknown preset 'smal' (did you mean small?)"),
        (["small", "--form", "thnk"], "unknown form 'thnk' (did you mean think?)"),
        (["small", "--limit", "3"], "belong to --benchmark"),
        (["small", "--benchmark", "mmmu", "--limit", "0"], "--limit 0: give a whole number from 1"),
        (["small", "--benchmrk", "mmmu"], "unknown argument '--benchmrk' (did you mean --benchmark?)"),
    ],
)
def test_what_cannot_be_evaluated(options: list[str], words: str, refused: Callable[..., str]) -> None:
    assert words in refused("evaluate", *options)
