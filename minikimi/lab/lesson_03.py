"""Exercises of lesson 03, MoonViT: what `minikimi/model/moonvit.py` does, step by step."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from minikimi.lab import answers_03 as a
from minikimi.lab.exercise import Exercise, Wrong
from minikimi.model.moonvit import Encoder, PatchEmbed, PositionTable, VisionBlock, VisionMLP

F32 = (torch.float32,)

EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "3.1", "Positions for a packed batch", 2, 4,
        (
            "interpolate_table(self.weight, h, w) gives the positions of one image; lay them one after another.",
            "torch.cat of interpolate_table(self.weight, *grid) for each grid; equal grids may share one result, but "
            "each image needs its rows.",
        ),
        PositionTable,
        "Resizing costs time, and a batch often holds equal grids: a dict makes each size once, the loop uses it "
        "often.",
        a.table_cases,
        (
            Wrong("height and width swapped", a.TableSwapped,
                  "A grid is (h, w), and interpolate_table takes height, then width."),
            Wrong("equal grids only once", a.TableOncePerGrid,
                  "Resize once per size, but lay the rows down once per image: loop over all grids, not over the "
                  "dict."),
            Wrong("table cropped", a.TableCropped,
                  "Do not cut a corner out of the table: the whole table is stretched over every picture."),
            Wrong("the pack as one image", a.TableOfOneImage,
                  "Every image has positions of its own, with its own grid; the pack is not one long picture."),
        ),
        (),
        F32,
        a.run_table,
    ),
    Exercise(
        "3.2", "The patch embedding", 2, 4,
        (
            "A patch fills the kernel exactly, so the convolution is one dot product per channel: flatten both and "
            "multiply.",
            "F.linear(pixel_values.flatten(1), self.proj.weight.flatten(1), self.proj.bias), then add the positions in "
            "x's dtype.",
        ),
        PatchEmbed,
        "Kernel and stride equal the patch: nothing overlaps. As a matrix product it is one large, fast operation.",
        a.embed_cases,
        (
            Wrong("bias forgotten", a.EmbedWithoutBias, "The released projection has a bias: self.proj.bias."),
            Wrong("positions forgotten", a.EmbedWithoutPositions,
                  "The learned table is added here, once, before the first block."),
            Wrong("channels last", a.EmbedChannelsLast,
                  "Weights lie as (D, 3, p, p) and patches as (P, 3, p, p): flatten both as they are, without "
                  "permute."),
            Wrong("positions of one long row", a.EmbedOneRow,
                  "Give the table the real grids: patch 5 of a 2 x 4 picture stands in its second row."),
        ),
        run=a.run_embed,
    ),
    Exercise(
        "3.3", "Queries, keys, values, heads", 2, 3,
        (
            "The last axis holds 3 x H x d numbers, in this order: first all queries, head by head.",
            'q, k, v = rearrange(qkv, "p (three h d) -> three p h d", three=3, h=num_heads).',
        ),
        a.split_heads,
        "One matrix of D x 3D is faster than three. Which cut is right is fixed by the released weights alone.",
        a.split_cases,
        (
            Wrong("heads outside", a.heads_outside,
                  "This is (H, 3, d), as GPT-NeoX stores it. Here it is (3, H, d): all queries first."),
            Wrong("channels outside", a.channels_outside,
                  "A head is d neighbouring numbers: heads before channels, (3, H, d), not (3, d, H)."),
            Wrong("values before keys", a.values_second, "The order is query, key, value."),
            Wrong("not cut into heads", a.not_split,
                  "Each of the three still has width D = H * d; cut it into heads: (P, H, d)."),
        ),
    ),
    Exercise(
        "3.4", "All heads, within each image", 3, 6,
        (
            "Split q, k, v along the patches by cu_seqlens.diff(); every piece is a small attention of its own.",
            'torch.einsum("qhd,khd->hqk", q_s, k_s) * d ** -0.5, softmax over the last axis, then "hqk,khd->qhd".',
        ),
        a.attend,
        "What is never computed needs no mask. A varlen kernel does the same for all images in one launch.",
        a.attend_cases,
        (
            Wrong("across all images", a.attend_everywhere,
                  "cu_seqlens is not used: images look at each other. Attend piece by piece."),
            Wrong("heads attend to heads", a.attend_over_heads,
                  "q @ k.mT on (P, H, d) compares the heads of one patch. Patches must meet: H is a batch axis."),
            Wrong("scaled twice", a.attend_scaled_by_width,
                  "Scale by the width of a head, q.shape[-1] ** -0.5, not by the width of all heads together."),
            Wrong("causal", a.attend_causal, "Pictures have no before and after: no causal mask in MoonViT."),
            Wrong("mask added as 0 and 1", a.attend_with_ones_added,
                  "Adding 1 where allowed still lets the others in. This is the leak of the released eager code."),
        ),
    ),
    Exercise(
        "3.5", "The MLP", 1, 2,
        (
            "fc0 widens, fc1 narrows, one activation between. There are two forms of GELU; look for `approximate`.",
            'self.fc1(F.gelu(self.fc0(x), approximate="tanh")).',
        ),
        VisionMLP,
        "The two GELUs differ by at most 0.0005, so nothing looks broken; over 27 layers it is another model. The "
        "projector uses the other one.",
        a.mlp_cases,
        (
            Wrong("exact GELU", a.mlp_with(F.gelu),
                  "This is the erf form. MoonViT has the tanh form: approximate=\"tanh\" (the projector has erf)."),
            Wrong("SiLU", a.mlp_with(F.silu), "SiLU is the language model's activation. MoonViT has GELU, tanh form."),
            Wrong("no activation", a.mlp_with(lambda x: x),
                  "Two linear maps in a row are one linear map. An activation must stand between them."),
            Wrong("residual inside", a.MLPWithResidual,
                  "The residual x + ... belongs to the block, not to the MLP: otherwise x is added twice."),
        ),
        (),
        (torch.float64,),
        a.run_mlp,
    ),
    Exercise(
        "3.6", "The block", 3, 6,
        (
            "x = x + wo(attention(norm0(x))), then x = x + mlp(norm1(x)): the stream x itself is never normed.",
            'rearrange(self.wqkv(self.norm0(x)), "p (three h d) -> p three h d", three=3, h=self.num_heads) goes into '
            'ops.vision_attention, and its result as "p h d -> p (h d)" into wo.',
        ),
        VisionBlock,
        "Pre-norm keeps a straight road for gradients: x passes all 27 blocks with additions only.",
        a.block_cases,
        (
            Wrong("norm after the sum", a.BlockPostNorm,
                  "This is post-norm, as in the first transformer of 2017. Norm the *input* of each part: pre-norm."),
            Wrong("no residual", a.BlockWithoutResidual,
                  "Each part adds to x. Without x + ... a block replaces what it was given."),
            Wrong("both parts side by side", a.BlockParallel,
                  "The MLP must read what attention has added: norm1 of the new x, one part after the other."),
            Wrong("residual taken after the norm", a.BlockResidualOfTheNorm,
                  "Add to x as it came in, not to the normed x: the norm is only for what goes into the part."),
        ),
        run=a.run_block,
    ),
    Exercise(
        "3.7", "The encoder", 2, 5,
        (
            "Everything that all blocks share is made once: rotary tables, bounds, longest image. Then the loop.",
            "rotary_2d(grid_hws, self.head_dim), image_cu_seqlens(grid_hws), int(cu_seqlens.diff().max()); final norm "
            "last.",
        ),
        Encoder,
        "Angles and bounds are the same in all layers. The final norm puts every patch on one scale for the projector.",
        a.block_cases,
        (
            Wrong("no final norm", a.EncoderWithoutFinalNorm,
                  "In a pre-norm network nothing norms the last block's output: final_layernorm does."),
            Wrong("the pack as one image", a.EncoderOneImage,
                  "The bounds must come from the grids: image_cu_seqlens(grid_hws). Else images see each other."),
            Wrong("positions in one row", a.EncoderOneRow,
                  "Bounds are right, angles are not: rotary_2d needs the grids (h, w), not (1, h * w)."),
            Wrong("the first block again and again", a.EncoderSameBlock,
                  "Every layer has weights of its own: loop over self.blocks."),
        ),
        run=a.run_encoder,
    ),
    Exercise(
        "3.8", "How much attention goes astray?", 2, 4,
        (
            "For image s, rows and columns cu[s] to cu[s + 1] are its own block. What is not in the block is foreign.",
            "1 - weights[:, a:b, a:b].sum(dim=-1).mean() for each pair of bounds (a, b); torch.stack them.",
        ),
        a.foreign_share,
        "Each query spends a total weight of 1, so the share that leaves the image is 1 minus what stays.",
        a.weight_cases,
        (
            Wrong("the share that stays", a.own_share, "This is what stays in the image. Asked is what leaves it."),
            Wrong("attention received", a.received_share,
                  "You sum over queries: what the image *receives* from others. Rows are queries, columns are keys."),
            Wrong("mean over keys too", a.mean_weight,
                  "Sum over the keys of the block (a query spends 1 in all), then average over queries and heads."),
            Wrong("one number for all", a.one_number, "One number for each image, (N,): short images suffer more."),
        ),
        (),
        F32,
    ),
    Exercise(
        "3.9", "Count the parameters", 2, 5,
        (
            "Linear A to B: A * B + B. LayerNorm: 2 D. A block: wqkv, wo, fc0, fc1 and two norms.",
            "Entrance: 3 p p D + D, and the table H0 * W0 * D. Total: entrance + layers * block + 2 D for the final "
            "norm.",
        ),
        a.vision_parameters,
        "Nearly all sits in the blocks. MoonViT is about a fortieth of the whole model, and works on every patch.",
        a.parameter_cases,
        (
            Wrong("biases forgotten", a.without_biases, "All Linears of MoonViT have biases (the language model's do "
                                                        "not)."),
            Wrong("table forgotten", a.without_table,
                  "The position table is learned too: init_pos_emb_height * init_pos_emb_width * hidden_size."),
            Wrong("three matrices in the MLP", a.gated_mlp,
                  "A gated MLP has three matrices; that is the language model's. MoonViT's MLP has two."),
            Wrong("final norm forgotten", a.without_final_norm, "After the last block there is one more LayerNorm."),
        ),
        (),
        F32,
    ),
)  # fmt: skip
