"""MoonViT's attention at the shapes of Kimi-VL-A3B: two images of 64 x 64 patches and 16 of 32 x 32 (lesson 16).

16 heads of 72. FLOPs count every product of the backward once, so recomputation does not raise a number.
"""

import torch

from ..vision.attention import vision_attention, vision_attention_reference
from .attention import gradient_error, offsets, random, sdpa_peers
from .harness import Bench

LAYERS = 27


def inputs(patches: int, heads: int, width: int, device: torch.device) -> tuple[torch.Tensor, ...]:
    angles = 6.28 * torch.rand(patches, width // 2, device=device)
    return random(patches, 3, heads, width, device=device).requires_grad_(), angles.cos(), angles.sin()


def rows(bench: Bench, images: int, length: int) -> None:
    """MoonViT attention with its rotation, one layer; the rate counts all 27 layers."""
    heads, width = (2, 24) if bench.interpret else (16, 72)
    cu_check = torch.tensor([0, 77, 300], dtype=torch.int32, device=bench.device)
    check, *angles = inputs(300, 2, width, bench.device)
    forward_error, backward_error = gradient_error(
        lambda x: vision_attention(x, *angles, cu_check, 223),
        lambda x: vision_attention_reference(x, *(a.double() for a in angles), cu_check),
        [check],
    )
    qkv, cos, sin = inputs(images * length, heads, width, bench.device)
    cu_seqlens = offsets(images, length, bench.device)
    flops = 4 * images * heads * length**2 * width
    shape = f"{images}x{length} h{heads} d{width}"

    def forward():
        with torch.no_grad():
            return vision_attention(qkv, cos, sin, cu_seqlens, length)

    def peers(upstream=None):
        q, k, v = (random(images, heads, length, width, device=bench.device).requires_grad_() for _ in range(3))
        return sdpa_peers(q, k, v, False, upstream) if not bench.interpret else None

    bench.row(
        "MoonViT attention forward", shape, forward, error=forward_error, tolerance=2e-2, flops=flops,
        items=images * length / LAYERS, item_unit="patches through 27 layers", peers=peers(),
        note="peers without the rotation",
    )  # fmt: skip
    upstream = random(images * length, heads, width, device=bench.device)
    bench.row(
        "MoonViT attention forward + backward", shape,
        lambda: torch.autograd.grad(vision_attention(qkv, cos, sin, cu_seqlens, length), qkv, upstream),
        error=backward_error, tolerance=2e-2, flops=3.5 * flops,
        items=images * length / LAYERS, item_unit="patches through 27 layers",
        peers=peers(random(images, heads, length, width, device=bench.device)), note="peers without the rotation",
    )  # fmt: skip


def run(bench: Bench) -> None:
    """All rows; tiny shapes without a GPU."""
    if bench.interpret:
        rows(bench, 2, 64)
        return
    rows(bench, 2, 4096)
    rows(bench, 16, 1024)
