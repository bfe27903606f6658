"""Lesson 04: the cases that answers are tried on, the properties they must have, and common wrong answers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.exercise import Case, Misfit
from minikimi.model.config import KimiVLConfig, TextConfig, VisionConfig
from minikimi.model.projector import Projector, merge_order, merge_patches


def numbers(seed: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


# 4.1 ------------------------------------------------------------------------------------------------------------------
def token_counts(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    """Grids (N, 2) in patches to the number of tokens of each picture (N,), with blocks of kernel = (kh, kw)."""
    kh, kw = kernel
    return (grid_hws[:, 0] // kh) * (grid_hws[:, 1] // kw)


def count_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(torch.tensor([[4, 6], [2, 10 + 2 * seed]]), (2, 2)), (torch.tensor([[6, 8], [3, 4], [9, 2]]), (3, 2))]


def count_patches(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return grid_hws.prod(dim=1)


def count_one_side(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return grid_hws.prod(dim=1) // kernel[0]


def count_together(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return token_counts(grid_hws, kernel).sum()


# 4.2 ------------------------------------------------------------------------------------------------------------------
def block_and_place(row: int, column: int, width: int) -> tuple[int, int]:
    """The patch at (row, column) of a grid `width` patches wide: the number of its 2 x 2 block, its place in there."""
    return (row // 2) * (width // 2) + column // 2, (row % 2) * 2 + column % 2


def place_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(row, column, 6 + 2 * seed) for row in range(4) for column in range(6)]


def block_full_width(row: int, column: int, width: int) -> tuple[int, int]:
    return (row // 2) * width + column // 2, (row % 2) * 2 + column % 2


def place_by_column(row: int, column: int, width: int) -> tuple[int, int]:
    return block_and_place(row, column, width)[0], (column % 2) * 2 + row % 2


def four_in_a_row(row: int, column: int, width: int) -> tuple[int, int]:
    return divmod(row * width + column, 4)


# 4.3 ------------------------------------------------------------------------------------------------------------------
def order_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Not square, and several pictures; 4 x 6 is not its own inverse; a kernel that is not square either.
    return [
        (torch.tensor([[4, 6]]), (2, 2)),
        (torch.tensor([[2, 6], [6, 4 + 2 * seed], [2, 2]]), (2, 2)),
        (torch.tensor([[6, 4]]), (3, 2)),
    ]


def _order(axes: tuple[int, int, int, int], swapped: bool = False, offsets: bool = True):
    def answer(grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
        (kh, kw), orders, start = kernel, [], 0
        for h, w in grid_hws.tolist():
            h, w = (w, h) if swapped and (w % kh, h % kw) == (0, 0) else (h, w)
            index = torch.arange(start, start + h * w)
            orders.append(index.view(h // kh, kh, w // kw, kw).permute(axes).flatten())
            start += h * w if offsets else 0
        return torch.cat(orders)

    return answer


def each_patch_once(run, grid_hws: Tensor, kernel: tuple[int, int]) -> None:
    order = run(grid_hws, kernel)
    patches = int(grid_hws.prod(dim=1).sum())
    if order.shape == (patches,) and not torch.equal(order.sort().values, torch.arange(patches)):
        raise Misfit(f"each of the {patches} patches must come exactly once; yours lists {len(order.unique())} of them")


# 4.4 ------------------------------------------------------------------------------------------------------------------
def merge_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # As many channels as places in a block, so that swapped axes keep the shape.
    grids = [torch.tensor([[4, 6]]), torch.tensor([[2, 6], [4, 4 + 2 * seed]])]
    return [(numbers(seed + i, int(g.prod(dim=1).sum()), 4, dtype=dtype), g, (2, 2)) for i, g in enumerate(grids)]


def merged_in_a_row(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return x.unflatten(0, (-1, kernel[0] * kernel[1]))


def merged_inverse(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return x[merge_order(grid_hws, kernel).argsort()].unflatten(0, (-1, kernel[0] * kernel[1]))


def merged_unshuffle(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return merge_patches(x, grid_hws, kernel).transpose(1, 2)


def merged_mean(x: Tensor, grid_hws: Tensor, kernel: tuple[int, int]) -> Tensor:
    return merge_patches(x, grid_hws, kernel).mean(dim=1)


# 4.5 ------------------------------------------------------------------------------------------------------------------
def norm_and_join(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Blocks (M, 4, D) to (M, 4 D): LayerNorm with eps 1e-5 on every patch, then the four side by side."""
    return F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-5).flatten(1)


def norm_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Patches of very different size in one block, some so small that eps shows; mean, weight and bias not trivial.
    sizes = torch.tensor([0.003, 0.03, 1.0, 4.0])[:, None]
    weight, bias = 1 + 0.3 * numbers(seed + 1, 6), 0.2 * numbers(seed + 2, 6)
    return [
        ((sizes * (numbers(seed, 3, 4, 6) + 0.5)).to(dtype), weight.to(dtype), bias.to(dtype)),
        ((0.004 * numbers(seed + 3, 5, 4, 6)).to(dtype), weight.to(dtype), bias.to(dtype)),
    ]


def norm_after_joining(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    joined = blocks.flatten(1)
    places = blocks.shape[1]
    return F.layer_norm(joined, joined.shape[-1:], weight.repeat(places), bias.repeat(places), eps=1e-5)


def norm_eps_6(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-6).flatten(1)


def norm_is_rms(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    normed = blocks.float() * torch.rsqrt(blocks.float().square().mean(-1, keepdim=True) + 1e-5)
    return (normed.to(blocks.dtype) * weight + bias).flatten(1)


def norm_channels_outside(blocks: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(blocks, blocks.shape[-1:], weight, bias, eps=1e-5).transpose(1, 2).flatten(1)


# 4.6 ------------------------------------------------------------------------------------------------------------------
def exact_gelu(x: Tensor) -> Tensor:
    """x times the probability that a standard normal number lies below x."""
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def gelu_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Mostly negative: there the two GELUs differ most in proportion.
    return [(torch.linspace(-4 - seed, 0.5, 40),), (torch.tensor([[-2.2, -1.0, 0.0], [0.3, -3.0, -2.5]]),)]


def tanh_gelu(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def sigmoid_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def erf_without_root(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x))


# 4.7 ------------------------------------------------------------------------------------------------------------------
def small_config(seed: int) -> KimiVLConfig:
    """A projector from 4 x 8 numbers to 5 + seed."""
    text = TextConfig(hidden_size=5 + seed)
    return KimiVLConfig(vision_config=VisionConfig(hidden_size=8, num_attention_heads=2), text_config=text)


def projector_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(small_config(seed), 2 * numbers(seed, m, 4, 8) + 0.5) for m in (3, 5)]


def run_projector(cls, config: KimiVLConfig, blocks: Tensor) -> Tensor:
    """Build it, load fixed weights, call it. The hidden layer is held near -2.2, where the two GELUs differ by 1 %."""
    model, generator = cls(config), torch.Generator().manual_seed(5)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(0.06 * torch.randn(parameter.shape, generator=generator))
            if name == "linear_1.bias":
                parameter.sub_(2.2)
            if name == "pre_norm.weight":
                parameter.add_(1)
        return model(blocks)


class NormAfterJoining(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        joined = norm_after_joining(blocks, self.pre_norm.weight, self.pre_norm.bias)
        return self.linear_2(F.gelu(self.linear_1(joined)))


class TanhProjector(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        return self.linear_2(tanh_gelu(self.linear_1(self.pre_norm(blocks).flatten(1))))


class LinearProjector(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        return self.linear_2(self.linear_1(self.pre_norm(blocks).flatten(1)))


class UnshuffledProjector(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        return self.linear_2(F.gelu(self.linear_1(self.pre_norm(blocks).transpose(1, 2).flatten(1))))


class WithoutNorm(Projector):
    def forward(self, blocks: Tensor) -> Tensor:
        return self.linear_2(F.gelu(self.linear_1(blocks.flatten(1))))


def one_vector_per_block(run, config: KimiVLConfig, blocks: Tensor) -> None:
    shape, wanted = tuple(run(config, blocks).shape), (len(blocks), config.text_config.hidden_size)
    if shape != wanted:
        raise Misfit(f"{len(blocks)} blocks become vectors of the language model's width: {wanted}, yours are {shape}")


# 4.8 ------------------------------------------------------------------------------------------------------------------
def projector_cost(config: KimiVLConfig) -> tuple[int, int]:
    """The projector's parameters, and the multiplications of its two matrices for one image token."""
    patch, (kh, kw) = config.vision_config.hidden_size, config.vision_config.merge_kernel_size
    joined, out = patch * kh * kw, config.text_config.hidden_size
    matrices = joined * joined + joined * out
    return 2 * patch + matrices + joined + out, matrices


def projector_cost_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    return [(KimiVLConfig(),), (small_config(seed),)]


def cost_without_biases(config: KimiVLConfig) -> tuple[int, int]:
    matrices = projector_cost(config)[1]
    return 2 * config.vision_config.hidden_size + matrices, matrices


def cost_of_wide_norm(config: KimiVLConfig) -> tuple[int, int]:
    parameters, matrices = projector_cost(config)
    return parameters + 6 * config.vision_config.hidden_size, matrices


def cost_without_merging(config: KimiVLConfig) -> tuple[int, int]:
    patch, out = config.vision_config.hidden_size, config.text_config.hidden_size
    matrices = patch * patch + patch * out
    return 2 * patch + matrices + patch + out, matrices
