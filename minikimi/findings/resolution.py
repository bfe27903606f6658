"""Finding: 2-D rotary positions carry fine places to larger pictures than training saw; a stretched table alone does
not (lesson 02).

Kimi-VL report (arXiv 2504.07491), section 2.1: interpolated absolute positions become inadequate as the resolution
grows, so MoonViT adds 2-D RoPE in every layer. The question to a tiny MoonViT is as fine as a place can be: for every
cell of a grid of pictures, which picture stands in the cell to its right? Training sees grids of 2 to 4 cells a side,
the test 4 (seen), 6 (1.5 times) and 8 (twice).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from minikimi.findings.finding import Measurement, Prepared, Verdict, average, column, span
from minikimi.findings.plot import COLOURS, lines
from minikimi.findings.toy_training import optimizer_of
from minikimi.model.config import VisionConfig
from minikimi.model.moonvit import MoonViT
from minikimi.model.patches import pack_images
from minikimi.optim import warmup_cosine
from minikimi.world.art import picture

THINGS = ("cat", "pizza", "car", "shirt", "key", "sun", "fish", "banana")
CELL = 28  # pixels: 2 x 2 patches, one block of the pixel shuffle
SEEN, TESTED = (2, 4), (4, 6, 8)
LR = 3e-3
CONFIG = VisionConfig(
    hidden_size=64, num_attention_heads=2, num_hidden_layers=2, intermediate_size=128, init_pos_emb_height=8,
    init_pos_emb_width=8, torch_dtype="float32",
)  # fmt: skip


TITLE = "Larger pictures than in training"
CLAIM = "interpolated absolute positions become inadequate at higher resolution; 2-D RoPE keeps fine places"
SOURCE = "Kimi-VL, arXiv 2504.07491, section 2.1"
RULE = "at twice the side, in every seed, RoPE at least 10 points ahead and with the smaller loss against side 4"


class Neighbours(nn.Module):
    """MoonViT and one linear head: for each block of 2 x 2 patches, which thing is to its right."""

    def __init__(self, rotary: bool) -> None:
        super().__init__()
        self.vision_tower = MoonViT(CONFIG)
        self.head = nn.Linear(4 * CONFIG.hidden_size, len(THINGS))
        if not rotary:
            for block in self.vision_tower.encoder.blocks:
                block.register_forward_pre_hook(without_rotation)

    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        """Patches (P, 3, 14, 14) and grids (N, 2) to logits (P / 4, things)."""
        return self.head(self.vision_tower(pixel_values, grid_hws).flatten(1))


def without_rotation(block: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Angles of zero: a block's rotary embedding leaves queries and keys as they are."""
    x, cos, sin, *rest = args
    return x, torch.ones_like(cos), torch.zeros_like(sin), *rest


@lru_cache(maxsize=1)
def tiles() -> Tensor:
    """The pictures (things, 3, 28, 28) on white, in -1 to 1."""
    out = []
    for name in THINGS:
        tile = Image.new("RGB", (CELL, CELL), "white")
        drawn = picture(name, CELL - 4)
        tile.paste(drawn, ((CELL - drawn.width) // 2, (CELL - drawn.height) // 2), drawn)
        out.append(torch.from_numpy(np.asarray(tile, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1))
    return torch.stack(out)


def scenes(rng: np.random.Generator, sides: tuple[int, int], count: int) -> tuple[Tensor, Tensor, Tensor]:
    """`count` grids with sides in the inclusive range: patches, grids, and for each cell the thing to its right, -100
    in the last column.
    """
    images, labels = [], []
    for _ in range(count):
        h, w = rng.integers(sides[0], sides[1] + 1, size=2)
        things = torch.from_numpy(rng.integers(len(THINGS), size=(h, w)))
        images.append(tiles()[things].permute(2, 0, 3, 1, 4).reshape(3, h * CELL, w * CELL))
        labels.append(F.pad(things[:, 1:], (0, 1), value=-100).flatten())
    return *pack_images(images), torch.cat(labels)


def trained(seed: int, rotary: bool, steps: int) -> Neighbours:
    torch.manual_seed(seed)
    model = Neighbours(rotary)
    optimizer, rng = optimizer_of(model, "muon", LR), np.random.default_rng([seed, 0])
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = LR * warmup_cosine(step, steps, steps // 20)
        pixel_values, grid_hws, labels = scenes(rng, SEEN, 16)
        F.cross_entropy(model(pixel_values, grid_hws), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return model


@torch.inference_mode()
def accuracy(model: Neighbours, seed: int, side: int) -> float:
    pixel_values, grid_hws, labels = scenes(np.random.default_rng([seed, side]), (side, side), 32)
    keep = labels != -100
    right = model(pixel_values, grid_hws).argmax(dim=-1)[keep] == labels[keep]
    return float(right.float().mean())


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    out: Measurement = {}
    for kind, rotary in (("with", True), ("without", False)):
        model = trained(seed, rotary, 6 if quick else 600)
        out[kind] = [100 * accuracy(model, seed, side) for side in TESTED]
    return out


def judge(measurements: Sequence[Measurement]) -> Verdict:
    lost = {kind: [m[kind][0] - m[kind][-1] for m in measurements] for kind in ("with", "without")}
    ahead = [m["with"][-1] - m["without"][-1] for m in measurements]
    table = {kind: ", ".join(f"{value:.0f}" for value in average(measurements, kind)) for kind in lost}
    return Verdict(
        min(ahead) >= 10 and all(a < b for a, b in zip(lost["with"], lost["without"], strict=True)),
        f"percent right at sides 4 (seen), 6, 8: {table['with']} with 2-D RoPE, {table['without']} without; at twice "
        f"the side RoPE is ahead by {span(ahead, 0)} points",
        {"ahead": sum(ahead) / len(ahead)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    for kind in ("with", "without"):
        lines(ax, TESTED, column(measurements, kind), f"{kind} 2-D RoPE", COLOURS[kind], marker="o", ms=3)
    ax.axhline(100 / len(THINGS), color=COLOURS["paper"], lw=1, ls=":", label="chance")
    ax.set_xticks(TESTED, ["4 (seen)", "6", "8"])
    ax.set_ylim(0, 105)
    ax.set_xlabel("side of the grid, cells", fontsize=9)
    ax.set_ylabel("percent right", fontsize=9)
