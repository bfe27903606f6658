"""`load`: a model together with its processor, from whatever holds them (lessons 00 and 07)."""

from __future__ import annotations

import os

import torch

from minikimi.files import model_directory
from minikimi.model.kimi_vl import KimiVL
from minikimi.processor.processor import Processor


def load(
    directory: str | os.PathLike, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> tuple[KimiVL, Processor]:
    """A model, ready to answer, and its processor.

    Args:
        directory: the name of a shipped model (`small`), a finished run (`runs/NAME`, which holds `model/`), or a
            directory in the official layout.
        device: where the weights go.
        dtype: of the weights; None takes the config's.

    Raises:
        UserError: there is no such model, or one of its files is missing or damaged.
    """
    directory = model_directory(directory)
    processor = Processor.from_pretrained(directory)  # first: it is quick to refuse
    return KimiVL.from_pretrained(directory, device, dtype), processor
