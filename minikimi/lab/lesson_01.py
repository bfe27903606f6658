"""Exercises of lesson 01, patches and NaViT packing: what `minikimi/model/patches.py` does, step by step."""

from __future__ import annotations

import torch

from minikimi.lab import answers_01 as a
from minikimi.lab.exercise import Exercise, Wrong
from minikimi.model.patches import cumulative_lengths, image_cu_seqlens, pack_images, patchify, unpatchify

F32 = (torch.float32,)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "1.1", "Which patch holds this pixel?", 1, 2,
        (
            "y // patch_size is the row of the patch, x // patch_size its column. Raster order counts row by row.",
            "index = row * (patches in a row) + column, and a row has width // patch_size patches; y % patch_size "
            "inside.",
        ),
        a.patch_of_pixel,
        "A patch is a square of neighbouring pixels, and those lie far apart in memory: width numbers from row to row.",
        a.pixel_cases,
        (
            Wrong("row and column swapped", a.pixel_swapped,
                  "y counts rows, x counts columns. The patch row is y // patch_size."),
            Wrong("width in pixels", a.width_in_pixels,
                  "One row of patches holds width // patch_size patches, not width of them."),
            Wrong("memory cut in equal pieces", a.memory_order,
                  "This cuts memory into pieces of p * p numbers. A patch is a square: p pieces of p numbers each, a "
                  "row apart."),
        ),
        (),
        F32,
    ),
    Exercise(
        "1.2", "Cut an image with two loops", 1, 3,
        (
            "Outer loop over y in steps of patch_size, inner loop over x: this is raster order.",
            "image[:, y : y + patch_size, x : x + patch_size] is one patch (C, p, p); torch.stack the list.",
        ),
        a.patchify_loop,
        "Two loops and a slice: nobody can get lost here, so it is the reference for the fast version.",
        a.loop_cases,
        (
            Wrong("column by column", a.loop_columns,
                  "Your first patches go down the left edge. Raster order goes along the top edge first: x inside."),
            Wrong("overlapping patches", a.loop_overlapping,
                  "Step by patch_size, not by 1: patches tile the image, they do not overlap."),
            Wrong("cut in memory order", a.loop_in_memory_order,
                  "reshape never moves a number. The pixels of one square do not lie side by side in memory."),
            Wrong("channels last", a.loop_channels_last,
                  "A patch keeps the channels in front, (C, p, p): that is how the patch embedding's weights lie."),
        ),
    ),
    Exercise(
        "1.3", "Cut an image without loops", 2, 5,
        (
            "Name the five axes first: c (h y) (w x). Then ask in which order the patches want them: h w, c, y x.",
            'rearrange(image, "c (h y) (w x) -> (h w) c y x", y=patch_size, x=patch_size); return (h, w) too.',
        ),
        patchify,
        "Split, move, join: every cut of an image is these three, and a pattern that names the axes says all of them.",
        a.patchify_cases,
        (
            Wrong("reshape alone", a.only_reshaped,
                  "Right shape, wrong pixels: reshape does not move anything. Split the axes, permute, then join."),
            Wrong("patches column by column", a.column_by_column,
                  "The patch row h must come before the patch column w: (h w), not (w h); in permute (1, 3, ...)."),
            Wrong("every patch mirrored", a.mirrored_patches,
                  "Inside a patch rows come before columns: y x, not x y; a permutation ends in 2, 4."),
            Wrong("grid as (w, h)", a.grid_swapped, "The patches are right, the grid is (h, w): rows first, always."),
        ),
    ),
    Exercise(
        "1.4", "Put the image together again", 2, 3,
        (
            "Walk back: (h w) c y x is what you have, c (h y) (w x) is what you want.",
            'rearrange(patches, "(h w) c y x -> c (h y) (w x)", h=h, w=w): the pattern of 1.3, read backwards.',
        ),
        unpatchify,
        "An inverse is the best test there is: what goes there and back unchanged has lost nothing and moved nothing.",
        a.unpatchify_cases,
        (
            Wrong("reshape alone", a.back_by_reshape,
                  "The patches lie one after another; without permute each row of your image is made of whole "
                  "patches."),
            Wrong("grid read as (w, h)", a.back_with_sides_swapped, "grid_hw is (h, w): h rows of w patches each."),
            Wrong("h and w side by side", a.back_without_rows,
                  "Each axis of the grid must stand next to its own p: (C, h, p, w, p), not (C, h, w, p, p)."),
        ),
        (a.there_and_back,),
    ),
    Exercise(
        "1.5", "Pack images of all sizes", 2, 3,
        (
            "patchify each image, collect patches and grids, join the patches along the first axis.",
            "torch.cat of the patches; torch.tensor of the grids, dtype=torch.int64, shape (N, 2).",
        ),
        pack_images,
        "cat, not stack: images of different sizes have different numbers of patches, and a patch is all they share.",
        a.images_cases,
        (
            Wrong("grids in pixels", a.grids_in_pixels, "The grid counts patches, so that h * w is how many there "
                                                        "are."),
            Wrong("grids as (w, h)", a.grids_swapped, "patchify returns (h, w): keep this order in the tensor."),
            Wrong("only the number of patches", a.grids_as_counts,
                  "Keep h and w apart: 4 x 6 and 6 x 4 have the same number of patches, and are different pictures."),
            Wrong("cut to the shortest", a.cut_to_the_shortest,
                  "torch.stack wants equal lengths, so this throws patches away. torch.cat takes them as they are."),
        ),
    ),
    Exercise(
        "1.6", "Bounds of segments", 1, 2,
        (
            "A running sum, with a 0 in front: S lengths have S + 1 bounds.",
            "torch.cat of one int32 zero and lengths.cumsum(0, dtype=torch.int32).",
        ),
        cumulative_lengths,
        "With the leading 0, segment s is x[cu[s]:cu[s + 1]] for every s, without a special case. Kernels want int32.",
        a.length_cases,
        (
            Wrong("without the leading zero", a.without_zero,
                  "S segments need S + 1 bounds: the first starts at 0. Put a zero in front."),
            Wrong("starts without the end", a.starts_only,
                  "The last segment needs an end: the total belongs to the bounds too."),
            Wrong("int64", a.as_int64, "The kernels for packed attention read 32-bit bounds: dtype=torch.int32."),
            Wrong("ends that are included", a.inclusive_ends,
                  "An end is the next start, as in Python slices; do not subtract 1."),
        ),
        (),
        F32,
    ),
    Exercise(
        "1.7", "Where does each image start?", 1, 2,
        (
            "How many patches has an image of h x w? You have just written the rest.",
            "cumulative_lengths(grid_hws.prod(dim=1)).",
        ),
        image_cu_seqlens,
        "cu_seqlens is all that attention needs to know about images: their shapes matter only for positions.",
        a.grids_cases,
        (
            Wrong("sides added", a.sides_added, "An image of h x w patches has h * w of them: prod, not sum."),
            Wrong("tokens instead of patches", a.after_the_merge,
                  "The division by 4 comes later, in the projector. Inside MoonViT every patch is there."),
            Wrong("every row a segment", a.rows_as_segments,
                  "A segment is an image, not a row of patches: a patch must see the rows above and below."),
            Wrong("everything one segment", a.one_long_image,
                  "With bounds 0 and P all images are one, and look at each other. One segment per image."),
        ),
        (),
        F32,
    ),
    Exercise(
        "1.8", "Who may look at whom?", 2, 4,
        (
            "Give each patch the number of its image; two patches may meet when the numbers are equal.",
            "image = arange(N).repeat_interleave(cu_seqlens.diff()); then image[:, None] == image[None].",
        ),
        a.same_image_mask,
        "Square blocks on the diagonal. No triangle: a picture has no before and after, so nothing is causal.",
        a.bound_cases,
        (
            Wrong("causal", a.causal_mask,
                  "This is the mask of a language model. In an image each patch sees all patches, those after it too."),
            Wrong("True where forbidden", a.forbidden_mask,
                  "True means: may look. (Both conventions exist; torch's attention takes True as allowed.)"),
            Wrong("all images as long as the first", a.equal_lengths_mask,
                  "Images have different lengths; take them from cu_seqlens.diff(), not from cu_seqlens[1]."),
            Wrong("bounds one too late", a.one_too_late_mask,
                  "The patch at cu_seqlens[s] is the first of image s, not the last of the one before."),
        ),
        (a.every_patch_sees_itself,),
        F32,
    ),
    Exercise(
        "1.9", "Attention within images", 3, 5,
        (
            "Forbidden scores must get weight exactly 0 *after* the softmax. Which number has exponential 0?",
            'scores.masked_fill(~mask, float("-inf")).softmax(dim=-1) @ v, with scores = q @ k.T * d ** -0.5.',
        ),
        a.masked_attention,
        "The softmax turns a score s into e^s: only minus infinity gives weight 0. A score of 0 is a weight of 1.",
        a.attention_cases,
        (
            Wrong("mask added as 0 and 1", a.added_mask,
                  "Adding 1 to allowed scores multiplies their weight by e, 2.7 times. It favours, it does not "
                  "forbid."),
            Wrong("scores multiplied by the mask", a.scores_times_mask,
                  "A forbidden score becomes 0, and e^0 = 1 is a fair share. It must become minus infinity."),
            Wrong("mask after the softmax", a.mask_after_softmax,
                  "The forbidden weights are gone, but what is left does not add up to 1. Mask before the softmax."),
            Wrong("no mask", a.no_mask, "mask is not used: every image sees every other one."),
            Wrong("softmax over the queries", a.over_queries,
                  "Each query spreads a weight of 1 over the keys, and keys are the last axis: softmax(dim=-1)."),
            Wrong("no scale", a.without_scale, "Divide the scores by the square root of the head width d."),
        ),
        (a.images_do_not_meet, a.answers_are_averages),
    ),
    Exercise(
        "1.10", "How much of a batch is padding?", 1, 3,
        (
            "A padded batch has one row per image, each as long as the longest image. How many places are real?",
            "lengths = grid_hws.prod(dim=1); 1 - lengths.sum() / (N * lengths.max()), as a float.",
        ),
        a.padding_share,
        "One large image makes all rows long. The more sizes differ, the worse: real data differ very much.",
        a.share_cases,
        (
            Wrong("the real share", a.real_share, "This is the part that is used. Padding is the rest: 1 minus it."),
            Wrong("longest height times longest width", a.longest_sides,
                  "Rows of patches are padded, not pictures: the longest image, not a frame that holds all shapes."),
            Wrong("padding per real patch", a.padding_to_real,
                  "Divide by all places of the batch, not by the real ones."),
        ),
        (),
        F32,
    ),
    Exercise(
        "1.11", "FLOPs of a layer on packed images", 3, 5,
        (
            "A matrix of A x B costs 2AB FLOPs a patch. Matrices: D x 3D, D x D, D x M, M x D. Attention: n^2 pairs "
            "per "
            "image.",
            "2 * P * (4 D^2 + 2 D M), and for each image n x n scores and n x n weights times values: 4 * D * n^2.",
        ),
        a.layer_flops,
        "Heads share the width, so they cancel: H heads of width D/H cost D for a pair. Images add up, they do not "
        "multiply.",
        a.flops_cases,
        (
            Wrong("one FLOP per multiplication", a.one_flop_each,
                  "By convention a multiplication and its addition are two FLOPs: multiply both numbers by 2."),
            Wrong("attention over the whole pack", a.all_pairs,
                  "Patches meet inside their image only: the sum of n^2, not the square of the sum."),
            Wrong("heads multiply the cost", a.heads_multiply,
                  "H heads are each D/H wide: together a pair of patches costs D multiplications, whatever H is."),
            Wrong("scores without values", a.scores_only,
                  "Attention multiplies twice: queries with keys, then weights with values."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
