"""Image features, computed once for each picture and kept while there is room (lesson 17).

A conversation sends its pictures again with every turn, k rollouts look at one picture, an examination asks much about
it: the vision tower need not see it twice. What is kept longest without being asked for goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor

from minikimi.inference.request import Picture
from minikimi.model.kimi_vl import KimiVL

MAX_BYTES = 2**28


class ImageFeatures:
    """Features (P / 4, D) by the name of the picture, at most `max_bytes` of them."""

    def __init__(self, model: KimiVL, max_bytes: int = MAX_BYTES) -> None:
        self.model, self.max_bytes, self.bytes = model, max_bytes, 0
        self.kept: OrderedDict[bytes, Tensor] = OrderedDict()
        self.encoded = 0  # pictures that the tower has seen

    def of(self, pictures: Sequence[Picture]) -> list[Tensor]:
        """The features of each picture. Those that are not there yet go through the tower in one packed row."""
        found = {p.name: self.kept[p.name] for p in pictures if p.name in self.kept}
        new = list({p.name: p for p in pictures if p.name not in found}.values())
        if new:
            device = self.model.device
            pixels = torch.cat([p.pixel_values for p in new]).to(device)
            features = self.model.image_features(pixels, torch.cat([p.grid_hw for p in new]).to(device))
            found |= zip((p.name for p in new), features.split([len(p.places) for p in new]), strict=True)
            self.encoded += len(new)
        for picture in pictures:
            self._keep(picture.name, found[picture.name])
        return [found[p.name] for p in pictures]

    def _keep(self, name: bytes, features: Tensor) -> None:
        if name not in self.kept:
            features = features.clone()  # a part of a row would keep all of the row
            self.kept[name] = features
            self.bytes += features.nbytes
        self.kept.move_to_end(name)
        while self.bytes > self.max_bytes:
            self.bytes -= self.kept.popitem(last=False)[1].nbytes
