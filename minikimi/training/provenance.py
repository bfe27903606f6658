"""What made a run: commit and versions, so that its numbers can be traced (lesson 11)."""

from __future__ import annotations

import platform
import subprocess
from functools import cache
from importlib.metadata import version

from minikimi.files import PACKAGE

PACKAGES = ("minikimi", "torch", "lightning")


@cache
def commit() -> str:
    """`git describe` of the code that runs, with `-dirty` if it was changed since; "unknown" outside a checkout."""
    where = PACKAGE.parent
    if not (where / ".git").exists():
        return "unknown"  # a folder above may belong to another project
    command = ["git", "-C", str(where), "describe", "--always", "--dirty", "--tags"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def provenance() -> dict[str, str]:
    """Commit, and versions of Python and of the packages that compute."""
    versions = {name: version(name) for name in PACKAGES}
    return {"commit": commit(), "python": platform.python_version(), **versions}
