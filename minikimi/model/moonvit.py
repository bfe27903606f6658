"""MoonViT: a vision transformer for images at their own resolution (lesson 03).

What differs from a textbook ViT:
* patches of many images in one packed sequence, attention only within an image;
* two kinds of positions: a learned table, resized to each grid, and a 2-D rotary embedding in every layer;
* no class token and no pooling: the output is every patch, grouped in blocks of 2 x 2 for the projector.

LayerNorm eps is 1e-5 and the GELU is the tanh form. Source: Kimi-VL report (arXiv 2504.07491), section 2.1, and the
released code.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from minikimi.model import ops
from minikimi.model.config import VisionConfig
from minikimi.model.patches import image_cu_seqlens
from minikimi.model.projector import merge_patches
from minikimi.model.rope import interpolate_table, rotary_2d

LAYER_NORM_EPS = 1e-5


class PositionTable(nn.Module):
    """Learned absolute positions (H0, W0, D), resized to the grid of each image."""

    def __init__(self, height: int, width: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(height, width, dim))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, grid_hws: Tensor) -> Tensor:
        """Grids (N, 2) to positions (P, D). Equal grids share one interpolation."""
        grids = [(h, w) for h, w in grid_hws.tolist()]
        resized = {grid: interpolate_table(self.weight, *grid) for grid in dict.fromkeys(grids)}
        return torch.cat([self.weight.new_zeros(0, self.weight.shape[-1]), *(resized[grid] for grid in grids)])


class PatchEmbed(nn.Module):
    """A linear map of each patch, plus its absolute position."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        # A convolution by name and shape (the official keys), a matrix product in fact: a patch is one kernel window.
        self.proj = nn.Conv2d(3, config.hidden_size, kernel_size=config.patch_size, stride=config.patch_size)
        self.pos_emb = PositionTable(config.init_pos_emb_height, config.init_pos_emb_width, config.hidden_size)

    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        """Patches (P, 3, p, p) and grids (N, 2) to (P, D)."""
        x = F.linear(pixel_values.flatten(1), self.proj.weight.flatten(1), self.proj.bias)
        return x + self.pos_emb(grid_hws).to(x.dtype)


class VisionMLP(nn.Module):
    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc0 = nn.Linear(dim, hidden)
        self.fc1 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc1(F.gelu(self.fc0(x), approximate="tanh"))


class VisionBlock(nn.Module):
    """Pre-norm transformer block: x += attention(norm0(x)); x += mlp(norm1(x))."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.norm0 = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS)
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS)
        self.wqkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.wo = nn.Linear(config.hidden_size, config.hidden_size)
        self.mlp = VisionMLP(config.hidden_size, config.intermediate_size)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cu_seqlens: Tensor, max_seqlen: int) -> Tensor:
        """x (P, D), rotary tables (P, d/2), image bounds (N + 1,) to (P, D)."""
        qkv = rearrange(self.wqkv(self.norm0(x)), "p (three h d) -> p three h d", three=3, h=self.num_heads)
        attended = ops.vision_attention(qkv, cos, sin, cu_seqlens, max_seqlen)
        x = x + self.wo(rearrange(attended, "p h d -> p (h d)"))
        return x + self.mlp(self.norm1(x))


class Encoder(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.head_dim = config.head_dim
        self.blocks = nn.ModuleList(VisionBlock(config) for _ in range(config.num_hidden_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, eps=LAYER_NORM_EPS)

    def forward(self, x: Tensor, grid_hws: Tensor) -> Tensor:
        """x (P, D) and grids (N, 2) to (P, D)."""
        cos, sin = rotary_2d(grid_hws, self.head_dim)
        cu_seqlens = image_cu_seqlens(grid_hws)
        max_seqlen = int(cu_seqlens.diff().max()) if len(grid_hws) else 0
        for block in self.blocks:
            x = block(x, cos, sin, cu_seqlens, max_seqlen)
        return self.final_layernorm(x)


class MoonViT(nn.Module):
    """The vision tower. Parameter names are those of the released checkpoint."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config)
        self.encoder = Encoder(config)

    def patches(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        """Every patch after the final norm: patches (P, 3, p, p) and grids (N, 2) to (P, D)."""
        grid_hws = grid_hws.to(pixel_values.device)
        return self.encoder(self.patch_embed(pixel_values, grid_hws), grid_hws)

    def forward(self, pixel_values: Tensor, grid_hws: Tensor) -> Tensor:
        """Patches (P, 3, p, p) and grids (N, 2) to blocks of 2 x 2 patches (P/4, 4, D), all images in one tensor.

        No image at all (P = N = 0) gives no blocks. Raises `ValueError` if the grids do not add up to P or a side is
        odd.
        """
        if grid_hws.dim() != 2 or grid_hws.shape[1] != 2 or (grid_hws < 1).any():
            raise ValueError(f"image grids: expected (N, 2) positive sides (h, w) in patches, got {grid_hws.tolist()}")
        expected = int(grid_hws.prod(dim=1).sum())
        if expected != len(pixel_values):
            raise ValueError(f"the image grids name {expected} patches, pixel_values holds {len(pixel_values)}")
        return merge_patches(self.patches(pixel_values, grid_hws), grid_hws, self.config.merge_kernel_size)
