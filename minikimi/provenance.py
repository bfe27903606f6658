"""Where a result comes from: command, commit, versions, date and machine, so that its numbers can be traced."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import date
from functools import cache
from importlib.metadata import version

import torch

import minikimi
from minikimi.files import PACKAGE


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


def machine() -> str:
    """One line about where this runs."""
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    cores = f"{os.cpu_count()} CPU cores ({platform.machine()}), {torch.get_num_threads()} threads"
    return f"{', '.join([cores, *gpus])}, torch {torch.__version__}"


def provenance() -> dict[str, str]:
    """The command line that runs, and what it runs on."""
    return {
        "command": " ".join(["minikimi", *sys.argv[1:]]),
        "commit": commit(),
        "date": date.today().isoformat(),
        "machine": machine(),
        "python": platform.python_version(),
        "minikimi": minikimi.__version__,
        "lightning": version("lightning"),
    }
