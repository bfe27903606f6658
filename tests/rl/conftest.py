"""An untrained model directory."""

from pathlib import Path

import pytest
import torch

from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor


@pytest.fixture(scope="session")
def nano(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model directory."""
    directory = tmp_path_factory.mktemp("nano")
    torch.manual_seed(0)
    Processor.small().save_pretrained(directory)
    KimiVL.from_preset("nano").save_pretrained(directory)
    return directory
