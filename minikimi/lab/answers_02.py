"""Lesson 02: the cases that answers are tried on, the properties they must have, and common wrong answers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.exercise import Case, Misfit
from minikimi.model.config import VisionConfig
from minikimi.model.rope import (
    apply_rotary,
    interpolate_table,
    inverse_frequencies,
    patch_coordinates,
    rotary_1d,
    rotary_2d,
)


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


# 2.1 ------------------------------------------------------------------------------------------------------------------
def frequency_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(8, 10000.0), (12, 100.0 + seed), (36, 800000.0)]


def every_index(dim: int, theta: float) -> Tensor:
    return theta ** (-torch.arange(dim // 2, dtype=torch.float32) / dim)


def growing(dim: int, theta: float) -> Tensor:
    return theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)


def end_included(dim: int, theta: float) -> Tensor:
    return theta ** -torch.linspace(0, 1, dim // 2)


def starts_at_one(run, dim: int, theta: float) -> None:
    f = run(dim, theta)
    if len(f) != dim // 2:
        raise Misfit(f"{dim} channels are {dim // 2} pairs, and each pair has one frequency; you return {len(f)}")
    if abs(float(f[0]) - 1) > 1e-6:
        raise Misfit(f"the first pair turns by 1 radian per position, yours by {float(f[0]):.3g}")


# 2.2 ------------------------------------------------------------------------------------------------------------------
def rotate_vector(x: Tensor, angles: Tensor) -> Tensor:
    """Turn pair i of x (d,), that is (x[2i], x[2i+1]), by angles[i]; returns a new (d,)."""
    out = torch.empty_like(x)
    for i, angle in enumerate(angles):
        a, b = x[2 * i], x[2 * i + 1]
        out[2 * i] = a * angle.cos() - b * angle.sin()
        out[2 * i + 1] = a * angle.sin() + b * angle.cos()
    return out


def rotate_vector_halves(x: Tensor, angles: Tensor) -> Tensor:
    a, b = x.chunk(2)
    return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()])


def rotate_vector_back(x: Tensor, angles: Tensor) -> Tensor:
    return rotate_vector(x, -angles)


def rotate_vector_in_place(x: Tensor, angles: Tensor) -> Tensor:
    out = x.clone()
    for i, angle in enumerate(angles):
        out[2 * i] = out[2 * i] * angle.cos() - out[2 * i + 1] * angle.sin()
        out[2 * i + 1] = out[2 * i] * angle.sin() + out[2 * i + 1] * angle.cos()
    return out


def vector_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(numbers(seed, 6, dtype=dtype), 3 * numbers(seed + 9, 3, dtype=dtype))]


def keeps_length(run, x: Tensor, angles: Tensor) -> None:
    before, after = float(x.float().norm()), float(run(x, angles).float().norm())
    if abs(before - after) > 0.02 * before:
        raise Misfit(f"turning must not change a vector's length, but {before:.3f} became {after:.3f}")


# 2.3 ------------------------------------------------------------------------------------------------------------------
def position_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Positions that restart, as in packed text, and a large one, which bfloat16 cannot hold.
    return [(torch.tensor([0, 1, 2, 0, 1, 5 + seed]), 8, 10000.0), (torch.tensor([3, 1001 + seed]), 12, 500.0)]


def counts_rows(positions: Tensor, dim: int, theta: float) -> tuple[Tensor, Tensor]:
    return rotary_1d(torch.arange(len(positions)), dim, theta)


def sine_first(positions: Tensor, dim: int, theta: float) -> tuple[Tensor, Tensor]:
    cos, sin = rotary_1d(positions, dim, theta)
    return sin, cos


def bfloat16_positions(positions: Tensor, dim: int, theta: float) -> tuple[Tensor, Tensor]:
    return rotary_1d(positions.bfloat16(), dim, theta)


# 2.4 ------------------------------------------------------------------------------------------------------------------
def heads_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # As many heads as positions: a table laid along the wrong axis goes through without an error.
    tables = [rotary_1d(torch.arange(t) + seed, 8, 100.0) for t in (3, 5)]
    return [(numbers(seed, 3, 3, 8, dtype=dtype), *tables[0]), (numbers(seed, 5, 2, 8, dtype=dtype), *tables[1])]


def halves(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.float().chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


def joined_in_blocks(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return apply_rotary(x, cos, sin).unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)


def turned_back(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return apply_rotary(x, cos, -sin)


def tables_along_heads(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return apply_rotary(x.transpose(0, 1), cos, sin).transpose(0, 1)


def left_in_float32(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return apply_rotary(x.float(), cos, sin)


# 2.5 ------------------------------------------------------------------------------------------------------------------
def grid_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[2, 3]]),), (torch.tensor([[3, 2], [1, 4 + seed], [2, 2]]),)]


def swapped_coordinates(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = patch_coordinates(grid_hws)
    return columns, rows


def sides_swapped(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    return patch_coordinates(grid_hws.flip(1))


def one_image(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    index, w = torch.arange(int(grid_hws.prod(dim=1).sum())), int(grid_hws[0, 1])
    return index // w, index % w


def from_one(grid_hws: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = patch_coordinates(grid_hws)
    return rows + 1, columns + 1


# 2.6 ------------------------------------------------------------------------------------------------------------------
def table_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[2, 3]]), 8), (torch.tensor([[3, 2], [1, 5 + seed]]), 12)]


def row_first(grid_hws: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    cos, sin = (t.unflatten(-1, (-1, 2)).flip(-1).flatten(-2) for t in rotary_2d(grid_hws, dim))
    return cos, sin


def axes_in_blocks(grid_hws: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    cos, sin = (t.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2) for t in rotary_2d(grid_hws, dim))
    return cos, sin


def one_dimension(grid_hws: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    positions = torch.cat([torch.arange(h * w) for h, w in grid_hws.tolist()])
    return rotary_1d(positions, dim, 10000.0)


def too_slow(grid_hws: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    frequencies = inverse_frequencies(dim, 10000.0)[: dim // 4]
    rows, columns = patch_coordinates(grid_hws)
    angles = torch.stack([columns[:, None] * frequencies, rows[:, None] * frequencies], dim=-1).flatten(1)
    return angles.cos(), angles.sin()


# 2.7 ------------------------------------------------------------------------------------------------------------------
def resize_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    table = numbers(seed, 4, 4, 3, dtype=dtype)
    return [(table, 6, 3), (table, 3, 7 + seed), (table, 4, 4)]


def _resize(table: Tensor, height: int, width: int, **how) -> Tensor:
    resized = F.interpolate(table.permute(2, 0, 1)[None], size=(height, width), **how)
    return resized[0].permute(1, 2, 0).flatten(0, 1)


def corners_aligned(table: Tensor, height: int, width: int) -> Tensor:
    return _resize(table, height, width, mode="bicubic", align_corners=True)


def bilinear(table: Tensor, height: int, width: int) -> Tensor:
    return _resize(table, height, width, mode="bilinear", align_corners=False)


def width_by_height(table: Tensor, height: int, width: int) -> Tensor:
    return interpolate_table(table, width, height)


def reshaped(table: Tensor, height: int, width: int) -> Tensor:
    side, _, dim = table.shape
    resized = F.interpolate(
        table.reshape(1, dim, side, side), size=(height, width), mode="bicubic", align_corners=False
    )
    return resized.reshape(height * width, dim)


# 2.8 ------------------------------------------------------------------------------------------------------------------
def position_cost(vision: VisionConfig) -> tuple[int, int, int]:
    """The learned table's parameters and its bytes in bfloat16; multiplications of RoPE for one patch, all layers."""
    parameters = vision.init_pos_emb_height * vision.init_pos_emb_width * vision.hidden_size
    rotary = 4 * vision.hidden_size // 2 * 2 * vision.num_hidden_layers  # 4 per pair, queries and keys
    return parameters, 2 * parameters, rotary


def cost_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(VisionConfig(),), (VisionConfig(num_hidden_layers=3 + seed, init_pos_emb_height=7, hidden_size=64 * 16),)]


def _cost(table: int = 1, size: int = 1, rotary: float = 1.0):
    def answer(vision: VisionConfig) -> tuple[int, int, int]:
        p, b, r = position_cost(vision)
        return p * table, b * size * table, int(r * rotary)

    return answer


def one_layer(vision: VisionConfig) -> tuple[int, int, int]:
    p, b, r = position_cost(vision)
    return p, b, r // vision.num_hidden_layers
