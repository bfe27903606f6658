"""2-D rotary embedding of MoonViT's q and k, forwards and backwards (lessons 02 and 16).

A pair of adjacent channels is one complex number; the embedding multiplies it by cis(angle), in fp32. Its transpose
multiplies by cis(-angle), so the backward pass is the same kernel with the sine negated. Which angle belongs to the row
and which to the column of the image is settled by the caller's tables (Kimi-VL report, arXiv 2504.07491, section 2.1).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from ..common import INTERPRET


@triton.jit
def _vision_rotary_kernel(
    x, out, cos, sin, rows_total, columns_total, stride_x, stride_out, sign,
    D: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    # q and k of all heads stand side by side in a row of qkv: columns repeat the same d/2 angles 2·H times.
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS).to(tl.int64)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (rows[:, None] < rows_total) & (columns[None, :] < columns_total)
    values = tl.load(x + rows[:, None] * stride_x + columns[None, :], mask=inside, other=0.0).to(tl.float32)
    real, imaginary = tl.split(tl.reshape(values, [ROWS, COLUMNS // 2, 2]))
    pairs = tl.program_id(1) * (COLUMNS // 2) + tl.arange(0, COLUMNS // 2)
    at = rows[:, None] * (D // 2) + (pairs % (D // 2))[None, :]
    inside_pairs = (rows[:, None] < rows_total) & (2 * pairs[None, :] < columns_total)
    c = tl.load(cos + at, mask=inside_pairs, other=0.0).to(tl.float32)
    s = tl.load(sin + at, mask=inside_pairs, other=0.0).to(tl.float32) * sign
    rotated = tl.reshape(tl.join(real * c - imaginary * s, real * s + imaginary * c), [ROWS, COLUMNS])
    tl.store(out + rows[:, None] * stride_out + columns[None, :], rotated.to(out.dtype.element_ty), mask=inside)


def _rotate(x: torch.Tensor, out: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, sign: float) -> None:
    """Rotate x[:, :2] (P, 2, H, d) into out[:, :2]; they may be the same memory, for each pair is read and written by
    one program.
    """
    patches, _, heads, width = x.shape
    columns = 2 * heads * width
    rows, block = (256, 256) if INTERPRET else (32, 128)
    grid = (triton.cdiv(patches, rows), triton.cdiv(columns, block))
    _vision_rotary_kernel[grid](
        x, out, cos, sin, patches, columns, x.stride(0), out.stride(0), sign, D=width, ROWS=rows, COLUMNS=block
    )


def rotate_queries_and_keys(qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """The rotated q and k of contiguous `qkv` (P, 3, H, d) as (P, 2, H, d). Cost: 4·P·H·d elements moved."""
    patches, _, heads, width = qkv.shape
    out = torch.empty(patches, 2, heads, width, dtype=qkv.dtype, device=qkv.device)
    _rotate(qkv, out, cos, sin, 1.0)
    return out


def rotate_gradients_back(grad_qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> None:
    """Turn the gradients of the rotated q and k, in grad_qkv[:, :2], into those of the unrotated ones, in place."""
    _rotate(grad_qkv, grad_qkv, cos, sin, -1.0)
