"""A look inside MoonViT: where one head looks, and what it knows of places (lessons 02, 03 and 15).

Both are computed here straight from the trained weights, in the open, not caught on the way through the model:

* attention: softmax(q k^T / sqrt(d)) of one head, q and k turned by the 2-D rotary angles. The head shown is the most
  focused one of the last layer: the one whose rows have the lowest mean entropy;
* positions: how alike the middle patch is to every other by position alone. Rotary: the mean cosine of the angles
  between them, which falls with the distance and is the same around every patch. Table: the cosine of the learned
  absolute positions, resized to the grid.

Source: Kimi-VL report (arXiv 2504.07491), section 2.1.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from minikimi.model.kimi_vl import KimiVL
from minikimi.model.moonvit import MoonViT, VisionBlock
from minikimi.model.patches import image_cu_seqlens
from minikimi.model.rope import apply_rotary, interpolate_table, rotary_2d
from minikimi.processor.images.open_image import open_image
from minikimi.processor.images.processing import ImageProcessor
from minikimi.processor.processor import Processor
from minikimi.report.figures import axes, png

COLOURS = ("#e4572e", "#2a6fdb", "#2b8a5c")
GRID = (16, 16)  # of the pictures of positions, in patches


@torch.no_grad()
def attention_weights(tower: MoonViT, pixel_values: Tensor, grid_hws: Tensor, layer: int) -> Tensor:
    """Attention (H, P, P) of one layer over one picture: patches (P, 3, p, p), grid (1, 2). Rows sum to 1."""
    cos, sin = rotary_2d(grid_hws, tower.encoder.head_dim)
    bounds, x = image_cu_seqlens(grid_hws), tower.patch_embed(pixel_values, grid_hws)
    for block in tower.encoder.blocks[:layer]:
        x = block(x, cos, sin, bounds, len(x))
    block = tower.encoder.blocks[layer]
    assert isinstance(block, VisionBlock)
    q, k, _ = block.wqkv(block.norm0(x)).unflatten(-1, (3, block.num_heads, -1)).unbind(1)  # (P, H, d) each
    q, k = apply_rotary(q, cos, sin), apply_rotary(k, cos, sin)
    return (torch.einsum("phd,qhd->hpq", q, k) / q.shape[-1] ** 0.5).softmax(dim=-1)


def most_focused(attention: Tensor) -> int:
    """The head of (H, P, P) with the lowest mean entropy."""
    return int(torch.special.entr(attention).sum(-1).mean(-1).argmin())


def query_patches(pixel_values: Tensor, width: int, inner: tuple[int, int]) -> list[int]:
    """Three patches to look from: the one with most contrast, the next such a third of the picture away, the calmest.

    width: patches in a row. inner: rows and columns that the picture fills; beyond them is padding.
    """
    contrast = pixel_values.flatten(1).std(dim=1)
    order = contrast.argsort(descending=True, stable=True).tolist()
    order = [p for p in order if p // width < inner[0] and p % width < inner[1]]
    first, reach = order[0], max(inner) / 3
    far = [p for p in order if max(abs(p // width - first // width), abs(p % width - first % width)) >= reach]
    return [first, (far or order)[0], order[-1]]


@torch.no_grad()
def position_similarity(tower: MoonViT, grid: tuple[int, int] = GRID) -> tuple[Tensor, Tensor]:
    """How alike the middle patch is to every patch (h, w): by rotary position, and by the learned table. 1 is equal."""
    h, w = grid
    middle = (h // 2) * w + w // 2
    cos, sin = rotary_2d(torch.tensor([grid]), tower.encoder.head_dim)
    rotary = (cos * cos[middle] + sin * sin[middle]).mean(dim=-1)  # cos(a - b), mean over the channel pairs
    table = interpolate_table(tower.patch_embed.pos_emb.weight.float(), h, w)
    learned = F.cosine_similarity(table, table[middle][None], dim=-1)
    return rotary.view(h, w), learned.view(h, w)


def inside_figures(model_directory: Path, picture: Path | None) -> dict[str, bytes]:
    """The pictures by their description. Raises as loading a model or a picture does."""
    model = KimiVL.from_pretrained(model_directory, dtype=torch.float32)
    figures: dict[str, bytes] = {}
    if picture is not None:
        processor = Processor.from_pretrained(model_directory).image_processor
        figures |= attention_figures(model.vision_tower, processor, picture)
    rotary, learned = position_similarity(model.vision_tower)
    return figures | {
        "rotary position, from the middle patch": map_figure(rotary, "magma", float(rotary.min()), 1.0),
        "learned table, from the middle patch": map_figure(learned, "RdBu_r", -1.0, 1.0),
    }


def attention_figures(tower: MoonViT, processor: ImageProcessor, picture: Path) -> dict[str, bytes]:
    """The picture with three patches framed, and what the most focused head of the last layer sees from each."""
    pixel_values, grid_hws = processor(picture)
    h, w = grid_hws[0].tolist()
    attention = attention_weights(tower, pixel_values, grid_hws, len(tower.encoder.blocks) - 1)
    head = most_focused(attention)
    inner = [max(side // processor.patch_size, 1) for side in processor.fitted_size(*open_image(picture).size)]
    queries = query_patches(pixel_values, w, (inner[1], inner[0]))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (processor.image_mean, processor.image_std))
    image = (pixel_values * std + mean).view(h, w, 3, *pixel_values.shape[-2:])
    image = image.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1).clamp(0, 1)  # (rows, columns, 3)
    figures = {f"the picture, three of its {h} x {w} patches framed": picture_figure(image, (h, w), queries)}
    for query, colour, name in zip(queries, COLOURS, ("red", "blue", "green"), strict=True):
        seen = attention[head, query].view(h, w)
        figures[f"head {head} seen from {name}"] = map_figure(seen, "magma", 0.0, float(seen.max()), (query, colour))
    return figures


def picture_figure(image: Tensor, grid: tuple[int, int], queries: list[int]) -> bytes:
    figure, ax = axes(1.9, 1.9 * grid[0] / grid[1])
    # A unit is a patch, as in the maps.
    ax.imshow(image.numpy(), extent=(-0.5, grid[1] - 0.5, grid[0] - 0.5, -0.5))
    for query, colour in zip(queries, COLOURS, strict=True):
        frame(ax, query, grid[1], colour)
    ax.set_axis_off()
    return png(figure)


def map_figure(values: Tensor, cmap: str, low: float, high: float, query: tuple[int, str] | None = None) -> bytes:
    """A value for every patch (h, w) as colours, with the patch it is seen from framed."""
    figure, ax = axes(1.9, 1.9 * values.shape[0] / values.shape[1])
    ax.imshow(values.numpy(), cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    if query:
        frame(ax, query[0], values.shape[1], query[1])
    ax.set_axis_off()
    return png(figure)


def frame(ax: object, patch: int, width: int, colour: str) -> None:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

    assert isinstance(ax, Axes)
    corner = (patch % width - 0.5, patch // width - 0.5)
    ax.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=colour, linewidth=2.2))


def readable(picture: Path) -> bool:
    """Whether the file is a picture at all."""
    try:
        with Image.open(picture) as image:
            image.verify()
    except (OSError, SyntaxError, ValueError):
        return False
    return True
