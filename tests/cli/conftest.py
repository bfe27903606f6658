"""What a refusal looks like, whichever verb it comes from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from minikimi.cli import main

Refused = Callable[..., str]


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its content, every folder with None."""
    return {str(p.relative_to(folder)): None if p.is_dir() else p.read_bytes() for p in folder.rglob("*")}


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Run a command in `tmp_path` that must be refused: exit code 2, one printable line of less than 300 characters,
    which is returned, and not a byte of the folder changed.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        before = tree(tmp_path)
        assert main(arguments) == 2
        message = capsys.readouterr().err
        assert message.startswith("minikimi: ") and message.count("\n") == 1 and message.endswith("\n")
        assert message[:-1].isprintable() and len(message) < 300
        assert tree(tmp_path) == before
        return message

    return run
