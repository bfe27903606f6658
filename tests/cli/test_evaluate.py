"""`minikimi evaluate`: options that do not go together, or do not exist. Its results: tests/evaluation."""

from pathlib import Path

import pytest

from minikimi.cli import main


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
def test_what_cannot_be_evaluated(
    options: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *options]) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1 and list(tmp_path.iterdir()) == []
