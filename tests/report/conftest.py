"""The made-up run, its report, and the same run with little in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_run import evaluation, fake_run

from minikimi.report.report import write_report


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def html(whole: Path) -> str:
    return write_report(whole).read_text()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """The made-up run with neither model nor stages nor samples: quick to draw."""
    (tmp_path / "bare" / "samples").mkdir(parents=True)
    (tmp_path / "bare" / "evaluation.json").write_text(json.dumps(evaluation(0)))
    return tmp_path / "bare"
