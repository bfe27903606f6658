"""Exercises of lesson 04, pixel shuffle and the projector: what `minikimi/model/projector.py` does, step by step."""

from __future__ import annotations

import torch

from minikimi.lab import answers_04 as a
from minikimi.lab.exercise import Exercise, Wrong
from minikimi.model.projector import Projector, merge_order, merge_patches

F32 = (torch.float32,)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "4.1", "Count the tokens of a picture", 1, 2,
        (
            "A grid of h x w patches holds h / kh rows of blocks and w / kw blocks in each.",
            "(grid_hws[:, 0] // kh) * (grid_hws[:, 1] // kw), one number for each picture.",
        ),
        a.token_counts,
        "A quarter of the patches: this is the number of places that a picture takes in the language model's context.",
        a.count_cases,
        (
            Wrong("patches, not blocks", a.count_patches, "That is h x w. A token is a whole block of kh x kw "
                                                          "patches."),
            Wrong("only one side halved", a.count_one_side, "Blocks are kh patches high AND kw patches wide."),
            Wrong("all pictures together", a.count_together, "Return one count per picture, shape (N,): do not sum."),
        ),
        (),
        F32,
    ),
    Exercise(
        "4.2", "Which block, which place", 2, 4,
        (
            "Integer division says which block, the remainder says where inside. A row of blocks holds width / 2 of "
            "them.",
            "block = (row // 2) * (width // 2) + column // 2; place = (row % 2) * 2 + column % 2.",
        ),
        a.block_and_place,
        "Blocks are in raster order, and so are the four places in a block: the same rule at two scales.",
        a.place_cases,
        (
            Wrong("width counted in patches", a.block_full_width,
                  "A row of blocks has width // 2 blocks, so block numbers grow by width // 2 from row to row."),
            Wrong("places down the column first", a.place_by_column,
                  "Inside a block the order is (0,0), (0,1), (1,0), (1,1): the column changes first."),
            Wrong("four in a row", a.four_in_a_row,
                  "This joins four patches of one row. A block is two patches wide and two high."),
        ),
        (),
        F32,
    ),
    Exercise(
        "4.3", "The order of all patches", 3, 7,
        (
            "View a picture's running numbers as (block row, row inside, block column, column inside); then bring the "
            "two inner axes to the end.",
            'rearrange(index, "(h kh w kw) -> (h w kh kw)", h=h // kh, kh=kh, kw=kw), with index = '
            "torch.arange(start, start + h * w, device=...); then start += h * w.",
        ),
        merge_order,
        "The pattern names four axes that were hidden in two and sorts them: the whole of pixel shuffle is one "
        "permutation.",
        a.order_cases,
        (
            Wrong("nothing reordered", a._order((0, 1, 2, 3)),
                  "You list the patches as they lie. Swap the two axes in the middle."),
            Wrong("places down the column first", a._order((0, 2, 3, 1)),
                  "Inside a block the column runs fastest: the last axis must be the column inside."),
            Wrong("blocks column by column", a._order((2, 0, 1, 3)),
                  "Blocks are in raster order too: the block row is the first axis, the block column the second."),
            Wrong("every picture from patch 0", a._order((0, 2, 1, 3), offsets=False),
                  "Pictures lie one after another: move `start` on by h * w after each."),
            Wrong("height and width swapped", a._order((0, 2, 1, 3), swapped=True),
                  "A grid is (h, w): h rows of w patches each."),
        ),
        (a.each_patch_once,),
        F32,
    ),
    Exercise(
        "4.4", "Group the patches", 2, 3,
        (
            "The order says which patch comes next: index x with it, then cut the first axis into groups of kh * kw.",
            'rearrange(x[merge_order(grid_hws, kernel).to(x.device)], "(m k) d -> m k d", k=kh * kw).',
        ),
        merge_patches,
        "Grouping keeps the four patches apart, (M, 4, D), so that the norm can still treat each by itself.",
        a.merge_cases,
        (
            Wrong("four in a row", a.merged_in_a_row, "Put the patches in merge_order first, then group them."),
            Wrong("the inverse order", a.merged_inverse,
                  "x[order] takes patch order[i] to place i. That is what you want; argsort would undo it."),
            Wrong("channels before places", a.merged_unshuffle,
                  "The block axis stands before the channels, (M, 4, D): that is the order of the released weights."),
            Wrong("the mean of a block", a.merged_mean,
                  "Averaging forgets which patch was where. Keep all four."),
        ),
    ),
    Exercise(
        "4.5", "Norm first, then join", 2, 4,
        (
            "The norm's width is D, the last axis of the blocks; only afterwards the four patches are joined.",
            "F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-5).flatten(1).",
        ),
        a.norm_and_join,
        "Each patch is brought to the same size before the first matrix sees it, whatever its neighbours are.",
        a.norm_cases,
        (
            Wrong("joined before the norm", a.norm_after_joining,
                  "A norm over 4 D numbers lets one loud patch make its three neighbours quiet. Norm each patch."),
            Wrong("eps 1e-6", a.norm_eps_6, "The projector's LayerNorm has eps 1e-5, as those of MoonViT."),
            Wrong("RMSNorm", a.norm_is_rms, "The language model uses RMSNorm; here it is LayerNorm, which also removes "
                                            "the mean."),
            Wrong("channels before places", a.norm_channels_outside,
                  "Join patch after patch: flatten (M, 4, D) as it is, without a transpose."),
        ),
    ),
    Exercise(
        "4.6", "The exact GELU", 1, 3,
        (
            "GELU is x times the chance that a standard normal number is smaller than x.",
            "That chance is (1 + erf(x / sqrt(2))) / 2, and torch has torch.erf.",
        ),
        a.exact_gelu,
        "MoonViT's blocks use the tanh approximation, the projector the exact form. The weights were trained that way.",
        a.gelu_cases,
        (
            Wrong("the tanh approximation", a.tanh_gelu,
                  "That is the one inside MoonViT. Near -2 it differs from the exact one by 1 % of its value."),
            Wrong("the sigmoid approximation", a.sigmoid_gelu, "x * sigmoid(1.702 x) is a coarser stand-in (OpenAI's "
                                                               "CLIP)."),
            Wrong("root of two forgotten", a.erf_without_root,
                  "erf belongs to a normal of variance 1/2: divide x by the root of 2 first."),
        ),
        (),
        F32,
    ),
    Exercise(
        "4.7", "The projector", 2, 5,
        (
            "The norm takes single patches, linear_1 and linear_2 take joined ones; between the two stands F.gelu.",
            'joined = rearrange(self.pre_norm(blocks), "m k d -> m (k d)"), then linear_1, F.gelu, linear_2.',
        ),
        Projector,
        "F.gelu is the exact form by default. Width 4 D is kept in the middle and only the last matrix narrows it.",
        a.projector_cases,
        (
            Wrong("norm after joining", a.NormAfterJoining, "pre_norm is D wide: call it on the blocks, then flatten."),
            Wrong("tanh GELU", a.TanhProjector, 'Plain F.gelu(x), without approximate="tanh".'),
            Wrong("no activation", a.LinearProjector,
                  "Two matrices in a row are one matrix. Put the GELU between them."),
            Wrong("pixel_unshuffle's order", a.UnshuffledProjector,
                  "The joined vector is patch after patch, not channel after channel: flatten without a transpose."),
            Wrong("norm forgotten", a.WithoutNorm, "The blocks pass through self.pre_norm first."),
        ),
        (a.one_vector_per_block,),
        F32,
        a.run_projector,
    ),
    Exercise(
        "4.8", "What the projector costs", 2, 4,
        (
            "A linear layer from m to n has m * n weights and n biases; a LayerNorm of width D has 2 D numbers.",
            "joined = 4 * hidden_size of the vision config; matrices = joined * joined + joined * hidden_size of the "
            "text config.",
        ),
        a.projector_cost,
        "31 million parameters, a five-hundredth of the model; a token pays it once, before the first layer.",
        a.projector_cost_cases,
        (
            Wrong("biases forgotten", a.cost_without_biases, "Both linear layers have a bias: joined + out more."),
            Wrong("a norm over the joined width", a.cost_of_wide_norm,
                  "The norm works on single patches: 2 * hidden_size numbers, not four times as many."),
            Wrong("merging forgotten", a.cost_without_merging,
                  "The matrices read four patches at once: their input is 4 * hidden_size wide."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
