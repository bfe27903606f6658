"""Rotary position embedding on adjacent pairs from cos and sin tables (lesson 16; positions of lessons 2 and 5).

(x[2i], x[2i+1]) turns by the angle whose cosine and sine stand in column i. The rotation is linear and orthogonal, so
the backward pass is the same kernel with the sine negated. The input may be a strided view, such as the last 64 of the
192 columns of a query: it is read in place, not copied first.

Cost for T tokens, H heads of width d in bf16: 4 T H d bytes and the tables once (4 T d), 3 FLOP an element.
"""

import math

import torch
import triton
import triton.language as tl

ELEMENTS = 1024  # per program: (token, head) rows times padded width
NUM_WARPS = 4


@triton.jit
def _rotary_kernel(
    x_ptr, cos_ptr, sin_ptr, out_ptr, N, H, d, token_stride, head_stride,
    INVERSE: tl.constexpr, ROWS: tl.constexpr, HALF: tl.constexpr,
):  # fmt: skip
    """ROWS of the T x H (token, head) rows. Pairs stay together: the row is read whole, split, turned and joined."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    tokens, heads = (rows // H).to(tl.int64), rows % H
    columns, pairs = tl.arange(0, 2 * HALF), tl.arange(0, HALF)
    inside = (rows < N)[:, None] & (columns < d)[None, :]
    x_rows = tokens * token_stride + heads * head_stride
    x = tl.load(x_ptr + x_rows[:, None] + columns[None, :], mask=inside, other=0.0).to(tl.float32)
    even, odd = tl.split(x.reshape(ROWS, HALF, 2))
    pair_inside = (rows < N)[:, None] & (pairs < d // 2)[None, :]
    table = tokens[:, None] * (d // 2) + pairs[None, :]
    cos = tl.load(cos_ptr + table, mask=pair_inside, other=0.0).to(tl.float32)
    sin = tl.load(sin_ptr + table, mask=pair_inside, other=0.0).to(tl.float32)
    if INVERSE:
        sin = -sin
    out = tl.join(even * cos - odd * sin, even * sin + odd * cos).reshape(ROWS, 2 * HALF)
    out_offsets = rows.to(tl.int64)[:, None] * d + columns[None, :]
    tl.store(out_ptr + out_offsets, out.to(out_ptr.dtype.element_ty), mask=inside)


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, inverse: bool) -> torch.Tensor:
    """x (T, H, d) turned, as a new contiguous tensor."""
    tokens, heads, width = x.shape
    if width and x.stride(-1) != 1:
        x = x.contiguous()
    out = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    if out.numel() == 0:
        return out
    half = triton.next_power_of_2(width // 2)
    rows = max(1, min(ELEMENTS // (2 * half), triton.next_power_of_2(tokens * heads)))
    _rotary_kernel[(triton.cdiv(tokens * heads, rows),)](
        x, cos, sin, out, tokens * heads, heads, width, x.stride(0), x.stride(1),
        INVERSE=inverse, ROWS=rows, HALF=half, num_warps=NUM_WARPS,
    )  # fmt: skip
    return out


class _Rotary(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, cos, sin):
        ctx.save_for_backward(cos, sin)
        return _rotate(x, cos, sin, inverse=False)

    @staticmethod
    def backward(ctx, grad_out):
        cos, sin = ctx.saved_tensors
        return _rotate(grad_out, cos, sin, inverse=True), None, None


def rotary(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the adjacent pairs of the last dimension of x by the angles of each position.

    Args:
        x: (..., H, d) with d even, any strides.
        cos, sin: (..., d / 2) with the leading dimensions of x without H; no gradient flows into them.

    Returns:
        (..., H, d), contiguous, x's dtype; the arithmetic is in fp32.

    Raises:
        ValueError: when the tables do not fit x.
    """
    *leading, heads, width = x.shape
    if width % 2 or cos.shape != (*leading, width // 2) or sin.shape != cos.shape:
        shapes = f"x {tuple(x.shape)}, cos {tuple(cos.shape)}, sin {tuple(sin.shape)}"
        raise ValueError(f"rotary: {shapes} do not fit; expected (..., H, d) and twice (..., d / 2), d even")
    tokens = math.prod(leading)
    cos, sin = (t.detach().reshape(tokens, width // 2).contiguous() for t in (cos, sin))
    return _Rotary.apply(x.reshape(tokens, heads, width), cos, sin).view(x.shape)


def rotary_reference(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """`rotary` in plain torch, in fp32 (float64 for float64)."""
    even, odd = x.to(torch.promote_types(x.dtype, torch.float32)).unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2).to(x.dtype)
