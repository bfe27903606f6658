"""Exercises of lesson 02, 2-D RoPE and interpolated positions: what `minikimi/model/rope.py` does, step by step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.config import VisionConfig
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrong
from minikimi.model.rope import (
    apply_rotary,
    interpolate_table,
    inverse_frequencies,
    patch_coordinates,
    rotary_1d,
    rotary_2d,
)

F32 = (torch.float32,)


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
    table = numbers(seed, 4, 4, 3)
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
    """Parameters of the learned table, its bytes in bfloat16, and the multiplications RoPE costs one patch in all layers."""
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


EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "2.1", "Frequencies", 1, 3,
        (
            "One frequency per pair of channels: pair i = 0, 1, ..., dim/2 - 1 turns by theta ** (-2i/dim) per "
            "position.",
            "2i runs through 0, 2, 4, ..., dim - 2: torch.arange(0, dim, 2). Make it float32 before dividing by dim.",
        ),
        inverse_frequencies,
        "A geometric row of speeds: the first pair tells neighbours apart, the last hardly turns over a whole "
        "document.",
        frequency_cases,
        (
            Wrong("every channel counted, not every pair", every_index,
                  "The exponent is -2i/dim for pair i, so it nearly reaches -1; yours stops near -1/2."),
            Wrong("speeds that grow", growing, "The exponent is negative: later pairs turn more slowly, not faster."),
            Wrong("both ends included", end_included,
                  "The exponent runs up to -(dim - 2)/dim, not to -1: steps of 2/dim, and the end is left out."),
        ),
        (starts_at_one,),
        F32,
    ),
    Exercise(
        "2.2", "Turn a vector, pair by pair", 2, 5,
        (
            "Pair i is (x[2i], x[2i+1]), two neighbours. Read both before you write either.",
            "new a = a cos - b sin; new b = a sin + b cos: a rotation against the clock, as multiplying a + ib by "
            "e^(i angle).",
        ),
        rotate_vector,
        "A rotation keeps lengths, so position never makes a token louder: it only changes how two vectors agree.",
        vector_cases,
        (
            Wrong("half-split pairs", rotate_vector_halves,
                  "Kimi-VL pairs neighbours (0,1), (2,3), ...; pairing i with i + d/2 is the other convention "
                  "(Llama, NeoX)."),
            Wrong("turning backwards", rotate_vector_back,
                  "The sign of the sine: the minus belongs to the first component, a cos - b sin."),
            Wrong("the first component overwritten too early", rotate_vector_in_place,
                  "When you compute the second component, the first has already changed. Keep a and b aside."),
        ),
        (keeps_length,),
    ),
    Exercise(
        "2.3", "Angles for text", 2, 4,
        (
            "The angle of pair i at position p is p times frequency i: an outer product, (T, 1) times (dim/2,).",
            "Use the positions you are given (in packed text they restart) and make them float32 first.",
        ),
        rotary_1d,
        "Angles need float32: bfloat16 holds no odd number above 256, so it would merge neighbouring positions.",
        position_cases,
        (
            Wrong("row numbers instead of positions", counts_rows,
                  "Packed text starts again at 0 with every document: use `positions`, not arange(len(positions))."),
            Wrong("sine and cosine swapped", sine_first, "Return (cos, sin): at position 0 the cosine is 1 and the "
                                                         "sine 0."),
            Wrong("positions in bfloat16", bfloat16_positions,
                  "bfloat16 has 8 significant bits, so 1001 becomes 1000. Compute angles in float32."),
        ),
        (),
        F32,
    ),
    Exercise(
        "2.4", "Turn all heads at once", 3, 6,
        (
            "x.unflatten(-1, (-1, 2)) shows the pairs as a last axis of 2; unbind it into a and b of shape (T, H, "
            "d/2).",
            "cos[:, None] lines (T, d/2) up with (T, H, d/2). Join with stack(..., dim=-1).flatten(-2), in float32, "
            "then cast back.",
        ),
        apply_rotary,
        "stack and flatten(-2) put each turned pair back where it came from; every head gets the same angles.",
        heads_cases,
        (
            Wrong("half-split pairs", halves,
                  "chunk(2, dim=-1) pairs channel i with i + d/2. Neighbours are unflatten(-1, (-1, 2))."),
            Wrong("pairs joined in blocks", joined_in_blocks,
                  "torch.cat puts all first components before all second ones; stack on a new last axis, then "
                  "flatten(-2)."),
            Wrong("turning backwards", turned_back, "The minus sign belongs to the first component: a cos - b sin."),
            Wrong("angles along the heads", tables_along_heads,
                  "cos[None] lines positions up with heads. The positions are axis 0 of x: use cos[:, None]."),
            Wrong("left in float32", left_in_float32,
                  "Compute in float32, but give back x's own dtype: .to(x.dtype) at the end."),
        ),
    ),
    Exercise(
        "2.5", "Row and column of every patch", 2, 5,
        (
            "In raster order the column runs fastest. For each image: the row repeats w times, the column counts "
            "0..w-1 again and again.",
            "arange(h).repeat_interleave(w) and arange(w).repeat(h), for each (h, w) in grid_hws.tolist(); then "
            "torch.cat.",
        ),
        patch_coordinates,
        "Grids are (height, width) everywhere in Kimi-VL; a square picture would hide every mistake made here.",
        grid_cases,
        (
            Wrong("row and column swapped", swapped_coordinates,
                  "Return (rows, columns): in raster order it is the column that changes from patch to patch."),
            Wrong("height and width swapped", sides_swapped, "A grid is (h, w): h rows, each of w patches."),
            Wrong("one image assumed", one_image,
                  "Every image starts again at row 0, column 0, and has its own width. Loop over the grids."),
            Wrong("counting from one", from_one, "Positions start at 0, as in the released code."),
        ),
        (),
        F32,
    ),
    Exercise(
        "2.6", "Angles for patches: two positions take turns", 3, 8,
        (
            "dim/2 pairs, half of them for each axis: dim/4 frequencies, inverse_frequencies(dim // 2, theta). "
            "Column first.",
            "stack([columns[:, None] * f, rows[:, None] * f], dim=-1) is (P, dim/4, 2); flatten(1) makes the axes "
            "take turns.",
        ),
        rotary_2d,
        "Both axes get the whole range of speeds. The order (column first, taking turns) is fixed by the released "
        "weights.",
        table_cases,
        (
            Wrong("row first", row_first, "Pair 0 turns with the column, pair 1 with the row. Swap them in the stack."),
            Wrong("axes in blocks", axes_in_blocks,
                  "All column pairs stand before all row pairs: that is cat. The axes take turns: stack on a last "
                  "axis, flatten."),
            Wrong("one position per patch", one_dimension,
                  "This numbers the patches like words, so a neighbour below is w steps away. A patch has a row and "
                  "a column."),
            Wrong("frequencies of the full width", too_slow,
                  "Each axis has dim/4 pairs and uses the frequencies of width dim // 2, down to almost 1/theta."),
        ),
        (),
        F32,
    ),
    Exercise(
        "2.7", "Resize the learned table", 3, 6,
        (
            'F.interpolate wants (1, D, H0, W0): permute first, and back afterwards. mode="bicubic", '
            'align_corners=False.',
            "table.permute(2, 0, 1)[None] in, resized[0].permute(1, 2, 0).flatten(0, 1) out; skip it all when the "
            "grid fits.",
        ),
        interpolate_table,
        "align_corners=False treats a position as the middle of a patch, so the picture keeps its borders at every "
        "size.",
        resize_cases,
        (
            Wrong("corners aligned", corners_aligned,
                  "align_corners=True pins the outermost patch centres to each other; the released code does not."),
            Wrong("bilinear", bilinear, "The released code resizes bicubically, and its weights were trained with "
                                        "that."),
            Wrong("height and width swapped", width_by_height, "size=(height, width): rows first, as in every tensor "
                                                               "here."),
            Wrong("reshaped instead of permuted", reshaped,
                  "reshape does not move axes, it cuts the numbers up anew. Use permute to bring the channels to the "
                  "front."),
        ),
        (),
        F32,
    ),
    Exercise(
        "2.8", "What positions cost in the 16B model", 2, 5,
        (
            "The table is height x width x hidden_size numbers of 2 bytes. RoPE has no parameters, only arithmetic.",
            "A pair needs 4 multiplications; hidden_size/2 pairs over all heads; queries and keys; every layer.",
        ),
        position_cost,
        "4.7 million parameters and about 125 thousand multiplications a patch: nothing beside the 0.8 billion of "
        "the layers.",
        cost_cases,
        (
            Wrong("float32 bytes", _cost(size=2), "The released weights are bfloat16: 2 bytes a number."),
            Wrong("half of it: queries only, or two products a pair", _cost(rotary=0.5),
                  "Keys are turned too, and a pair takes four products: a cos, b sin, a sin, b cos."),
            Wrong("one layer", one_layer, "RoPE works in the attention of every layer, not once at the entrance."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
