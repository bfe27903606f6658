"""All findings once, measured too shortly to show anything: two files look at what that leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from minikimi.findings.measure import run


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A quick run of one seed: its directory, and its rows by name. Do not change them."""
    out = tmp_path_factory.mktemp("findings")
    return out, run([], out, seeds=1, quick=True, command="minikimi findings --quick --seeds 1")
