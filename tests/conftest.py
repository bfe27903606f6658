"""What holds for every test: few threads, no network, no windows, the same random numbers."""

import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch is imported: it reads this once
for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ[name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads and forked loaders do not go together
os.environ["MPLBACKEND"] = "Agg"

import pytest  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton is imported, by whichever test comes first


@pytest.fixture(autouse=True)
def _seed() -> None:
    """A test's random numbers do not depend on the tests before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def nano_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make train-nano`, all stages, in a directory of its own. Do not change it.

    Where tests run in several processes, the first to need it trains it for all.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    run = base / "nano_run"
    with FileLock(base / "nano_run.lock"):
        if not (run / "report.html").is_file():
            command = [sys.executable, "-m", "minikimi", "train", "--preset", "nano", "--run", str(run)]
            subprocess.run(command, check=True, timeout=280, capture_output=True)
    return run
