"""Kernel tests: without CUDA every kernel runs in Triton's interpreter, chosen before triton is imported."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the interpreter is Python; threads of torch only get in its way

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


@pytest.fixture
def device() -> torch.device:
    """Where the inputs of a kernel test belong."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
