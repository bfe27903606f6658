"""Where results come from: the commit of the code that runs, whatever folder it is called in."""

import subprocess
from pathlib import Path

import pytest
import torch

from minikimi import provenance


@pytest.fixture(autouse=True)
def _forget() -> None:
    provenance.commit.cache_clear()


def git(where: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(where), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "minikimi")
    (tmp_path / "minikimi").mkdir()
    assert provenance.commit() == "unknown", "no checkout"
    provenance.commit.cache_clear()
    git(tmp_path, "init", "--quiet")
    (tmp_path / "minikimi" / "code.py").write_text("x = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message=first")
    assert git(tmp_path, "rev-parse", "HEAD").startswith(provenance.commit())
    (tmp_path / "minikimi" / "code.py").write_text("x = 2\n")
    provenance.commit.cache_clear()
    assert provenance.commit().endswith("-dirty")


def test_all_of_it_is_text_and_names_the_machine() -> None:
    found = provenance.provenance()
    assert all(isinstance(value, str) and value for value in found.values())
    assert torch.__version__ in found["machine"] and found["command"].startswith("minikimi")
