"""Lesson 03: the cases that answers are tried on, how classes are built and run, and common wrong answers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from minikimi.lab.exercise import Case
from minikimi.model import ops
from minikimi.model.config import VisionConfig
from minikimi.model.moonvit import Encoder, PatchEmbed, PositionTable, VisionBlock, VisionMLP
from minikimi.model.patches import cumulative_lengths, image_cu_seqlens
from minikimi.model.rope import interpolate_table, rotary_2d

SMALL = VisionConfig(
    patch_size=2,
    num_attention_heads=2,
    num_hidden_layers=2,
    hidden_size=16,
    intermediate_size=24,
    init_pos_emb_height=4,
    init_pos_emb_width=5,
)


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def filled(cls, *args, dtype: torch.dtype = torch.float32) -> nn.Module:
    """An object of the learner's class with weights that depend on their place only; biases are not zero."""
    with torch.random.fork_rng(devices=[]):  # building draws random numbers: leave the lesson's alone
        module = cls(*args)
    with torch.no_grad():
        for i, (_, parameter) in enumerate(sorted(module.named_parameters())):
            parameter.copy_(numbers(100 + i, *parameter.shape) * max(parameter.shape[-1], 4) ** -0.5)
    return module.to(dtype)


# 3.1 ------------------------------------------------------------------------------------------------------------------
def table_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Two equal grids, one of them not next to the other; none is square; the last one fits the table.
    return [(torch.tensor([[2, 4], [4, 2], [2, 4]]),), (torch.tensor([[3, 2 + seed], [4, 5]]),)]


def run_table(cls, grid_hws: Tensor) -> Tensor:
    return filled(cls, 4, 5, 6)(grid_hws)


class TableSwapped(PositionTable):
    def forward(self, grid_hws: Tensor) -> Tensor:
        return super().forward(grid_hws.flip(1))


class TableOncePerGrid(PositionTable):
    def forward(self, grid_hws: Tensor) -> Tensor:
        return super().forward(torch.tensor(list(dict.fromkeys(map(tuple, grid_hws.tolist())))))


class TableCropped(PositionTable):
    def forward(self, grid_hws: Tensor) -> Tensor:
        return torch.cat([self.weight[:h, :w].flatten(0, 1) for h, w in grid_hws.tolist()])


class TableOfOneImage(PositionTable):
    def forward(self, grid_hws: Tensor) -> Tensor:
        return interpolate_table(self.weight, 1, int(grid_hws.prod(dim=1).sum()))


# 3.2 ------------------------------------------------------------------------------------------------------------------
def embed_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    grids = [torch.tensor([[2, 4], [4, 2]]), torch.tensor([[2, 2 + 2 * seed]])]
    return [(numbers(seed, int(g.prod(dim=1).sum()), 3, 2, 2, dtype=dtype), g) for g in grids]


def run_embed(cls, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
    return filled(cls, SMALL, dtype=pixel_values.dtype)(pixel_values, grid_hws)


class EmbedWithoutBias(PatchEmbed):
    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        return super().forward(pixel_values, grid_hws) - self.proj.bias


class EmbedWithoutPositions(PatchEmbed):
    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        return F.linear(pixel_values.flatten(1), self.proj.weight.flatten(1), self.proj.bias)


class EmbedChannelsLast(PatchEmbed):
    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        pixels = pixel_values.permute(0, 2, 3, 1).reshape(pixel_values.shape)
        return super().forward(pixels, grid_hws)


class EmbedOneRow(PatchEmbed):
    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        return super().forward(pixel_values, torch.tensor([[1, len(pixel_values)]]))


# 3.3 ------------------------------------------------------------------------------------------------------------------
def split_heads(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """qkv (P, 3D) to queries, keys and values, (P, H, d) each."""
    q, k, v = rearrange(qkv, "p (three h d) -> three p h d", three=3, h=num_heads)
    return q, k, v


def split_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Three heads, so that exchanging the axes "which of q, k, v" and "head" keeps the shape.
    return [(numbers(seed, 5, 3 * 12, dtype=dtype), 3), (numbers(seed + 9, 4, 3 * 8, dtype=dtype), 2)]


def heads_outside(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.unflatten(-1, (num_heads, 3, -1)).unbind(2)
    return q, k, v


def channels_outside(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.unflatten(-1, (3, -1, num_heads)).transpose(-1, -2).unbind(1)
    return q, k, v


def values_second(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = split_heads(qkv, num_heads)
    return q, v, k


def not_split(qkv: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = qkv.chunk(3, dim=-1)
    return q, k, v


# 3.4 ------------------------------------------------------------------------------------------------------------------
def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    """Attention of all heads within each image: q, k, v (P, H, d) and bounds (N + 1,) to (P, H, d)."""
    lengths, outputs = cu_seqlens.diff().tolist(), []
    for q_s, k_s, v_s in zip(q.split(lengths), k.split(lengths), v.split(lengths), strict=True):
        scores = torch.einsum("qhd,khd->hqk", q_s, k_s) * q.shape[-1] ** -0.5
        outputs.append(torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), v_s))
    return torch.cat(outputs)


def attend_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # As many heads as patches in one image: axes taken for each other go through without an error.
    cases = []
    for lengths, heads in (((3, 5), 3), ((4, 2, 2 + seed), 2)):
        q, k, v = (numbers(10 * seed + i, sum(lengths), heads, 6, dtype=dtype) for i in range(3))
        cases.append((q, k, v, cumulative_lengths(torch.tensor(lengths))))
    return cases


def attend_everywhere(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    return attend(q, k, v, cu_seqlens[[0, -1]])


def attend_over_heads(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    return (q @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1) @ v


def attend_scaled_by_width(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    return attend(q * q.shape[1] ** -0.5, k, v, cu_seqlens)


def attend_causal(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    return ops.segment_attention(q, k, v, cu_seqlens, q.shape[-1] ** -0.5, causal=True)


def attend_with_ones_added(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor) -> Tensor:
    image = torch.arange(len(cu_seqlens) - 1).repeat_interleave(cu_seqlens.diff())
    same = (image[:, None] == image[None]).to(q.dtype)
    scores = torch.einsum("qhd,khd->hqk", q, k) * q.shape[-1] ** -0.5 + same
    return torch.einsum("hqk,khd->qhd", scores.softmax(dim=-1), v)


# 3.5 ------------------------------------------------------------------------------------------------------------------
def mlp_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Large inputs: the two forms of GELU differ most (by 0.0005) at about 2, and are tried in float64 for that reason.
    return [(3 * numbers(seed, 7, 16, dtype=dtype),), (3 * numbers(seed + 9, 2, 16, dtype=dtype),)]


def run_mlp(cls, x: Tensor) -> Tensor:
    return filled(cls, 16, 24, dtype=x.dtype)(x)


def mlp_with(activation):
    class Answer(VisionMLP):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc1(activation(self.fc0(x)))

    return Answer


class MLPWithResidual(VisionMLP):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


# 3.6 ------------------------------------------------------------------------------------------------------------------
def block_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    grids = [torch.tensor([[2, 4], [4, 2]]), torch.tensor([[2, 2 + 2 * seed], [2, 6]])]
    return [(numbers(seed, int(g.prod(dim=1).sum()), 16, dtype=dtype), g) for g in grids]


def run_block(cls, x: Tensor, grid_hws: Tensor) -> Tensor:
    cu_seqlens = image_cu_seqlens(grid_hws)
    tables = rotary_2d(grid_hws, SMALL.head_dim)
    return filled(cls, SMALL, dtype=x.dtype)(x, *tables, cu_seqlens, int(cu_seqlens.diff().max()))


def _attention_part(block: VisionBlock, normed: Tensor, *where) -> Tensor:
    qkv = block.wqkv(normed).unflatten(-1, (3, block.num_heads, -1))
    return block.wo(ops.vision_attention(qkv, *where).flatten(1))


class BlockPostNorm(VisionBlock):
    def forward(self, x: Tensor, *where) -> Tensor:
        x = self.norm0(x + _attention_part(self, x, *where))
        return self.norm1(x + self.mlp(x))


class BlockWithoutResidual(VisionBlock):
    def forward(self, x: Tensor, *where) -> Tensor:
        x = _attention_part(self, self.norm0(x), *where)
        return self.mlp(self.norm1(x))


class BlockParallel(VisionBlock):
    def forward(self, x: Tensor, *where) -> Tensor:
        return x + _attention_part(self, self.norm0(x), *where) + self.mlp(self.norm1(x))


class BlockResidualOfTheNorm(VisionBlock):
    def forward(self, x: Tensor, *where) -> Tensor:
        x = self.norm0(x)
        x = x + _attention_part(self, x, *where)
        x = self.norm1(x)
        return x + self.mlp(x)


# 3.7 ------------------------------------------------------------------------------------------------------------------
def run_encoder(cls, x: Tensor, grid_hws: Tensor) -> Tensor:
    return filled(cls, SMALL, dtype=x.dtype)(x, grid_hws)


class EncoderWithoutFinalNorm(Encoder):
    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        norm, self.final_layernorm = self.final_layernorm, nn.Identity()
        out = super().forward(x, grid_hws)
        self.final_layernorm = norm
        return out


class EncoderOneImage(Encoder):
    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        tables, bounds = rotary_2d(grid_hws, self.head_dim), torch.tensor([0, len(x)], dtype=torch.int32)
        for block in self.blocks:
            x = block(x, *tables, bounds, len(x))
        return self.final_layernorm(x)


class EncoderOneRow(Encoder):
    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        lengths = grid_hws.prod(dim=1)
        return super().forward(x, torch.stack([torch.ones_like(lengths), lengths], dim=1))


class EncoderSameBlock(Encoder):
    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        blocks, self.blocks = self.blocks, nn.ModuleList([self.blocks[0]] * len(self.blocks))
        out = super().forward(x, grid_hws)
        self.blocks = blocks
        return out


# 3.8 ------------------------------------------------------------------------------------------------------------------
def foreign_share(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    """For each image, the attention it spends on other images: weights (H, P, P) and bounds (N + 1,) to (N,)."""
    bounds = cu_seqlens.tolist()
    own = [weights[:, a:b, a:b].sum(dim=-1).mean() for a, b in pairwise(bounds)]
    return 1 - torch.stack(own)


def weight_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    cases = []
    for lengths in ((3, 5), (4, 2, 3 + seed)):
        scores = 2 * numbers(seed + len(lengths), 2, sum(lengths), sum(lengths))
        cases.append((scores.softmax(dim=-1), cumulative_lengths(torch.tensor(lengths))))
    return cases


def own_share(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    return 1 - foreign_share(weights, cu_seqlens)


def received_share(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    bounds, out = cu_seqlens.tolist(), []
    for a, b in pairwise(bounds):
        out.append((weights[:, :, a:b].sum(dim=1) - weights[:, a:b, a:b].sum(dim=1)).mean())
    return torch.stack(out)


def mean_weight(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    bounds = cu_seqlens.tolist()
    return 1 - torch.stack([weights[:, a:b, a:b].mean() for a, b in pairwise(bounds)])


def one_number(weights: Tensor, cu_seqlens: Tensor) -> Tensor:
    share, lengths = foreign_share(weights, cu_seqlens), cu_seqlens.diff()
    return (share * lengths).sum() / lengths.sum()


# 3.9 ------------------------------------------------------------------------------------------------------------------
def vision_parameters(vision: VisionConfig) -> tuple[int, int, int]:
    """Parameters of the entrance (patch embedding and table), of one block, and of all MoonViT."""
    d, m, p = vision.hidden_size, vision.intermediate_size, vision.patch_size
    entrance = 3 * p * p * d + d + vision.init_pos_emb_height * vision.init_pos_emb_width * d
    block = (3 * d * d + 3 * d) + (d * d + d) + (d * m + m) + (m * d + d) + 2 * 2 * d
    return entrance, block, entrance + vision.num_hidden_layers * block + 2 * d


def parameter_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(VisionConfig(),), (replace(SMALL, num_hidden_layers=3 + seed),)]


def without_biases(vision: VisionConfig) -> tuple[int, int, int]:
    d, m = vision.hidden_size, vision.intermediate_size
    entrance, block = vision_parameters(vision)[0] - d, 4 * d * d + 2 * d * m + 4 * d
    return entrance, block, entrance + vision.num_hidden_layers * block + 2 * d


def without_table(vision: VisionConfig) -> tuple[int, int, int]:
    entrance, block, total = vision_parameters(vision)
    table = vision.init_pos_emb_height * vision.init_pos_emb_width * vision.hidden_size
    return entrance - table, block, total - table


def gated_mlp(vision: VisionConfig) -> tuple[int, int, int]:
    entrance, block, total = vision_parameters(vision)
    gate = vision.hidden_size * vision.intermediate_size + vision.intermediate_size
    return entrance, block + gate, total + vision.num_hidden_layers * gate


def without_final_norm(vision: VisionConfig) -> tuple[int, int, int]:
    entrance, block, total = vision_parameters(vision)
    return entrance, block, total - 2 * vision.hidden_size
