"""RMSNorm, forward and backward (lesson 16; the norm of lesson 5).

Bound by memory. A program handles several whole rows, so that enough 16-byte loads are in flight. The backward programs
walk over many rows each, keep their share of the weight gradient in registers and write it once; a second, tiny sum
adds the shares (two stages instead of one atomic per row).

Cost for T rows of D in bf16: forward 4 T D bytes, backward 6 T D, and about 10 FLOP an element.

The normalised row is rounded to the input dtype before it is multiplied by the weight, like the official model.
"""

import torch
import triton
import triton.language as tl

from ..common import card

ELEMENTS = 2048  # per program and step: rows times padded width
NUM_WARPS = 4
BACKWARD_PROGRAMS_PER_SM = 2
BACKWARD_STAGES = 4  # rows in flight per program: with so few programs, loads must run ahead of the sums


@triton.jit
def _rms_norm_kernel(x_ptr, weight_ptr, out_ptr, rstd_ptr, T, D, eps, ROWS: tl.constexpr, BLOCK_D: tl.constexpr):
    """ROWS rows: out = x / rms(x) * weight; keeps 1 / rms for the backward pass."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK_D)
    inside = (rows < T)[:, None] & (columns < D)[None, :]
    offsets = rows.to(tl.int64)[:, None] * D + columns[None, :]
    x = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    weight = tl.load(weight_ptr + columns, mask=columns < D, other=0.0).to(tl.float32)[None, :]
    rstd = 1.0 / tl.sqrt(tl.sum(x * x, axis=1) / D + eps)
    tl.store(rstd_ptr + rows, rstd, mask=rows < T)
    normed = (x * rstd[:, None]).to(x_ptr.dtype.element_ty).to(tl.float32)
    tl.store(out_ptr + offsets, (normed * weight).to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _rms_norm_backward_kernel(
    grad_out_ptr, x_ptr, weight_ptr, rstd_ptr, grad_x_ptr, grad_weight_ptr, T, D,
    STAGES: tl.constexpr, ROWS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Row groups pid, pid + programs, ...: their grad_x, and this program's share of the weight gradient."""
    columns = tl.arange(0, BLOCK_D)
    weight = tl.load(weight_ptr + columns, mask=columns < D, other=0.0).to(tl.float32)[None, :]
    grad_weight = tl.zeros((ROWS, BLOCK_D), dtype=tl.float32)
    for group in tl.range(tl.program_id(0), tl.cdiv(T, ROWS), tl.num_programs(0), num_stages=STAGES):
        rows = group * ROWS + tl.arange(0, ROWS)
        inside = (rows < T)[:, None] & (columns < D)[None, :]
        offsets = rows.to(tl.int64)[:, None] * D + columns[None, :]
        x = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
        grad = tl.load(grad_out_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
        rstd = tl.load(rstd_ptr + rows, mask=rows < T, other=0.0)[:, None]
        normed = x * rstd
        grad_weight += grad * normed.to(x_ptr.dtype.element_ty).to(tl.float32)
        grad = grad * weight
        grad_x = (grad - normed * (tl.sum(grad * normed, axis=1) / D)[:, None]) * rstd
        tl.store(grad_x_ptr + offsets, grad_x.to(grad_x_ptr.dtype.element_ty), mask=inside)
    share = tl.program_id(0) * D + columns
    tl.store(grad_weight_ptr + share, tl.sum(grad_weight, axis=0), mask=columns < D)


def _tile(rows: int, width: int) -> dict[str, int]:
    block = triton.next_power_of_2(width)
    group = max(1, min(ELEMENTS // block, triton.next_power_of_2(rows)))
    return {"ROWS": group, "BLOCK_D": block, "num_warps": max(NUM_WARPS, min(16, block // 1024))}


class _RMSNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, eps):
        """x (T, D) and weight (D,), contiguous."""
        rows, width = x.shape
        out, rstd = torch.empty_like(x), torch.empty(rows, dtype=torch.float32, device=x.device)
        tile = _tile(rows, width)
        if rows:
            _rms_norm_kernel[(triton.cdiv(rows, tile["ROWS"]),)](x, weight, out, rstd, rows, width, eps, **tile)
        ctx.save_for_backward(x, weight, rstd)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, weight, rstd = ctx.saved_tensors
        rows, width = x.shape
        grad_x, tile = torch.empty_like(x), _tile(rows, width)
        programs = min(triton.cdiv(rows, tile["ROWS"]), BACKWARD_PROGRAMS_PER_SM * card(x.device).multiprocessors)
        shares = torch.empty(programs, width, dtype=torch.float32, device=x.device)
        if rows:
            _rms_norm_backward_kernel[(programs,)](
                grad_out.contiguous(), x, weight, rstd, grad_x, shares, rows, width, STAGES=BACKWARD_STAGES, **tile
            )
        return grad_x, shares.sum(dim=0).to(weight.dtype), None


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """x / sqrt(mean(x^2) + eps) over the last dimension, rounded to x's dtype, times weight; differentiable.

    Args:
        x: (..., D), any strides.
        weight: (D,).
        eps: 1e-5 in the decoder, 1e-6 in `kv_a_layernorm`.

    Returns:
        (..., D) in x's dtype.

    Raises:
        ValueError: the weight does not fit.
    """
    if weight.shape != x.shape[-1:]:
        raise ValueError(f"rms_norm: weight {tuple(weight.shape)} does not fit x {tuple(x.shape)}; expected (D,)")
    rows = x.reshape(-1, x.shape[-1]).contiguous()
    return _RMSNorm.apply(rows, weight.contiguous(), eps).view(x.shape)


def rms_norm_reference(x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    """`rms_norm` in plain torch: normalise in fp32 (float64 for float64), cast, then multiply."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight
