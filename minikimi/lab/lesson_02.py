"""Exercises of lesson 02, 2-D RoPE and interpolated positions: what `minikimi/model/rope.py` does, step by step."""

from __future__ import annotations

import torch

from minikimi.lab import answers_02 as a
from minikimi.lab.exercise import Exercise, Wrong
from minikimi.model.rope import (
    apply_rotary,
    interpolate_table,
    inverse_frequencies,
    patch_coordinates,
    rotary_1d,
    rotary_2d,
)

F32 = (torch.float32,)
BOTH = (torch.float32, torch.bfloat16)

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
        a.frequency_cases,
        (
            Wrong("every channel counted, not every pair", a.every_index,
                  "The exponent is -2i/dim for pair i, so it nearly reaches -1; yours stops near -1/2."),
            Wrong("speeds that grow", a.growing, "The exponent is negative: later pairs turn more slowly, not faster."),
            Wrong("both ends included", a.end_included,
                  "The exponent runs up to -(dim - 2)/dim, not to -1: steps of 2/dim, and the end is left out."),
        ),
        (a.starts_at_one,),
        F32,
    ),
    Exercise(
        "2.2", "Turn a vector, pair by pair", 2, 5,
        (
            "Pair i is (x[2i], x[2i+1]), two neighbours. Read both before you write either.",
            "new a = a cos - b sin; new b = a sin + b cos: a rotation against the clock, as multiplying a + ib by "
            "e^(i angle).",
        ),
        a.rotate_vector,
        "A rotation keeps lengths, so position never makes a token louder: it only changes how two vectors agree.",
        a.vector_cases,
        (
            Wrong("half-split pairs", a.rotate_vector_halves,
                  "Kimi-VL pairs neighbours (0,1), (2,3), ...; pairing i with i + d/2 is the other convention "
                  "(Llama, NeoX)."),
            Wrong("turning backwards", a.rotate_vector_back,
                  "The sign of the sine: the minus belongs to the first component, a cos - b sin."),
            Wrong("the first component overwritten too early", a.rotate_vector_in_place,
                  "When you compute the second component, the first has already changed. Keep a and b aside."),
        ),
        (a.keeps_length,),
    ),
    Exercise(
        "2.3", "Angles for text", 2, 4,
        (
            "The angle of pair i at position p is p times frequency i: an outer product, (T, 1) times (dim/2,).",
            "Use the positions you are given (in packed text they restart) and make them float32 first.",
        ),
        rotary_1d,
        "Angles need float32: bfloat16 holds no odd number above 256, so it would merge neighbouring positions.",
        a.position_cases,
        (
            Wrong("row numbers instead of positions", a.counts_rows,
                  "Packed text starts again at 0 with every document: use `positions`, not arange(len(positions))."),
            Wrong("sine and cosine swapped", a.sine_first, "Return (cos, sin): at position 0 the cosine is 1 and the "
                                                         "sine 0."),
            Wrong("positions in bfloat16", a.bfloat16_positions,
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
        a.heads_cases,
        (
            Wrong("half-split pairs", a.halves,
                  "chunk(2, dim=-1) pairs channel i with i + d/2. Neighbours are unflatten(-1, (-1, 2))."),
            Wrong("pairs joined in blocks", a.joined_in_blocks,
                  "torch.cat puts all first components before all second ones; stack on a new last axis, then "
                  "flatten(-2)."),
            Wrong("turning backwards", a.turned_back, "The minus sign belongs to the first component: a cos - b sin."),
            Wrong("angles along the heads", a.tables_along_heads,
                  "cos[None] lines positions up with heads. The positions are axis 0 of x: use cos[:, None]."),
            Wrong("left in float32", a.left_in_float32,
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
        a.grid_cases,
        (
            Wrong("row and column swapped", a.swapped_coordinates,
                  "Return (rows, columns): in raster order it is the column that changes from patch to patch."),
            Wrong("height and width swapped", a.sides_swapped, "A grid is (h, w): h rows, each of w patches."),
            Wrong("one image assumed", a.one_image,
                  "Every image starts again at row 0, column 0, and has its own width. Loop over the grids."),
            Wrong("counting from one", a.from_one, "Positions start at 0, as in the released code."),
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
        a.table_cases,
        (
            Wrong("row first", a.row_first, "Pair 0 turns with the column, pair 1 with the row. Swap them in the "
                                            "stack."),
            Wrong("axes in blocks", a.axes_in_blocks,
                  "All column pairs stand before all row pairs: that is cat. The axes take turns: stack on a last "
                  "axis, flatten."),
            Wrong("one position per patch", a.one_dimension,
                  "This numbers the patches like words, so a neighbour below is w steps away. A patch has a row and "
                  "a column."),
            Wrong("frequencies of the full width", a.too_slow,
                  "Each axis has dim/4 pairs and uses the frequencies of width dim // 2, down to almost 1/theta."),
        ),
        (),
        F32,
    ),
    Exercise(
        "2.7", "Resize the learned table", 3, 6,
        (
            'F.interpolate wants (1, D, H0, W0): rearrange first, and back afterwards. mode="bicubic", '
            "align_corners=False.",
            'rearrange "h w d -> 1 d h w" before, "1 d h w -> (h w) d" behind; skip it all when the grid fits.',
        ),
        interpolate_table,
        "align_corners=False treats a position as the middle of a patch, so the picture keeps its borders at every "
        "size.",
        a.resize_cases,
        (
            Wrong("corners aligned", a.corners_aligned,
                  "align_corners=True pins the outermost patch centres to each other; the released code does not."),
            Wrong("bilinear", a.bilinear, "The released code resizes bicubically, and its weights were trained with "
                                        "that."),
            Wrong("height and width swapped", a.width_by_height, "size=(height, width): rows first, as in every tensor "
                                                               "here."),
            Wrong("reshaped instead of permuted", a.reshaped,
                  "reshape does not move axes, it cuts the numbers up anew. Use permute to bring the channels to the "
                  "front."),
        ),
        (),
        BOTH,
    ),
    Exercise(
        "2.8", "What positions cost in the 16B model", 2, 5,
        (
            "The table is height x width x hidden_size numbers of 2 bytes. RoPE has no parameters, only arithmetic.",
            "A pair needs 4 multiplications; hidden_size/2 pairs over all heads; queries and keys; every layer.",
        ),
        a.position_cost,
        "4.7 million parameters and about 125 thousand multiplications a patch: nothing beside the 0.8 billion of "
        "the layers.",
        a.cost_cases,
        (
            Wrong("float32 bytes", a._cost(size=2), "The released weights are bfloat16: 2 bytes a number."),
            Wrong("half of it: queries only, or two products a pair", a._cost(rotary=0.5),
                  "Keys are turned too, and a pair takes four products: a cos, b sin, a sin, b cos."),
            Wrong("one layer", a.one_layer, "RoPE works in the attention of every layer, not once at the entrance."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
