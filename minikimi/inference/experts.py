"""Notes which experts every router chooses (lesson 06)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moe import Router


class ExpertRecorder:
    """Notes the experts that every router chooses while the `with` block runs; nothing unless `wanted`."""

    def __init__(self, model: KimiVL, wanted: bool) -> None:
        self.routers = [m for m in model.modules() if isinstance(m, Router)] if wanted else []
        self.chosen: list[Tensor] = []

    def __enter__(self) -> ExpertRecorder:
        self.handles = [router.register_forward_hook(self._note) for router in self.routers]
        return self

    def __exit__(self, *_: Any) -> None:
        for handle in self.handles:
            handle.remove()

    def _note(self, router: Any, inputs: Any, routing: Any) -> None:
        self.chosen.append(routing.indices)

    def take(self) -> Tensor:
        """(T, expert layers, K) int16 of the pass since the last call."""
        chosen, self.chosen = self.chosen, []
        return torch.stack(chosen, dim=1).to(torch.int16)
