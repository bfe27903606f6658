"""What holds for every test: few threads, no network, no windows, the same random numbers."""

import os

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
