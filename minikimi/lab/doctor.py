"""`minikimi doctor`: one block that says what this machine has, to paste when asking for help (all lessons)."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from pathlib import Path

PACKAGES = ("numpy", "matplotlib", "tokenizers", "safetensors", "datasets", "lightning", "jupyterlab", "ipykernel")
ENOUGH_MEMORY = 4.0  # GiB; the largest lesson needs about half of it


def version(package: str) -> str:
    """The installed version, or "missing"."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def memory() -> float | None:
    """Memory of the machine in GiB, or None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, OSError, ValueError):
        return None


def devices() -> str:
    """What torch can compute on."""
    import torch

    found = [f"cpu ({os.cpu_count()} cores, {torch.get_num_threads()} threads)"]
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        found.append(f"cuda:{i} {properties.name} {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        found.append("mps")
    return ", ".join(found)


def triton() -> str:
    """How Triton kernels would run here."""
    import torch

    if importlib.util.find_spec("triton") is None:
        return "missing: lesson 16 needs it (Linux)"
    return f"{version('triton')}, {'on the GPU' if torch.cuda.is_available() else 'in its interpreter on the CPU'}"


def problems() -> list[str]:
    """What would stop a learner, each with its remedy."""
    import torch

    found = []
    missing = [package for package in PACKAGES if version(package) == "missing"]
    if missing:
        found.append(f"not installed: {', '.join(missing)}; run make setup")
    release = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if not (2, 11) <= release < (2, 14):
        found.append(f"torch {torch.__version__}: 2.11 to 2.13 is tested; run make setup")
    if (memory() or ENOUGH_MEMORY) < ENOUGH_MEMORY:
        found.append(
            f"{memory():.1f} GiB of memory: lessons may be slow; close other programs, train with --preset nano"
        )
    if not os.access(Path.cwd(), os.W_OK):
        found.append(f"{Path.cwd()} is not writable: runs and your lessons could not be kept; change the folder")
    return found


def report() -> list[str]:
    """The lines of the block."""
    import torch

    import minikimi

    gib = memory()
    return [
        f"minikimi  {minikimi.__version__}",
        f"python    {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"torch     {torch.__version__}",
        f"devices   {devices()}",
        f"triton    {triton()}",
        f"memory    {f'{gib:.1f} GiB' if gib else 'unknown'}",
        "packages  " + ", ".join(f"{package} {version(package)}" for package in PACKAGES),
    ]


def main() -> int:
    """Print the block and what should be mended; 0 when nothing should."""
    print("\n".join(report()))
    found = problems()
    print(
        "\n".join(f"problem   {problem}" for problem in found)
        if found
        else "all well: minikimi lab my copies the lessons to my/"
    )
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
