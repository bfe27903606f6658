"""What holds for every test: few threads, no network, no windows, the same random numbers."""

import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before torch is imported: it reads this once
for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ[name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"  # its threads and forked loaders do not go together
os.environ["MPLBACKEND"] = "Agg"

import pytest  # noqa: E402
import torch  # noqa: E402

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton is imported, by whichever test comes first


@pytest.fixture(autouse=True)
def _seed() -> None:
    """A test's random numbers do not depend on the tests before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def nano_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make train-nano`, all stages, in a directory of its own; the file `seconds` says how long. Do not change it."""
    run = tmp_path_factory.mktemp("runs") / "nano"
    command = [sys.executable, "-m", "minikimi", "train", "--preset", "nano", "--run", str(run)]
    begin = time.monotonic()
    subprocess.run(command, check=True, timeout=280, capture_output=True)
    (run / "seconds").write_text(str(time.monotonic() - begin))
    return run
