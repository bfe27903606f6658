"""RMSNorm and LayerNorm with an optional residual addition, forward and backward (lesson 16; norms of lessons 3 and 5).

Both are bound by memory. A program handles several whole rows, so that enough 16-byte loads are in flight; with the
residual, x + residual is formed, normalised and stored in the same pass. The backward programs walk over many rows
each, keep their share of the weight gradient in registers and write it once; a second, tiny sum adds the shares (two
stages instead of one atomic per row).

Cost for T rows of D in bf16: forward 4 T D bytes (8 T D with residual), backward 6 T D (8 T D with residual), and about
10 FLOP an element.

RMSNorm rounds the normalised row to the input dtype before it multiplies by the weight, like the official model; the
LayerNorm multiplies in fp32 and rounds once, like torch.
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
def _forward_kernel(
    x_ptr, residual_ptr, weight_ptr, bias_ptr, out_ptr, sum_ptr, mean_ptr, rstd_ptr, T, D, eps,
    LAYER: tl.constexpr, HAS_RESIDUAL: tl.constexpr, ROWS: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """ROWS rows: [s = x + residual,] out = norm(s) * weight [+ bias]; keeps mean and 1/std for the backward pass."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.arange(0, BLOCK_D)
    inside = (rows < T)[:, None] & (columns < D)[None, :]
    offsets = rows.to(tl.int64)[:, None] * D + columns[None, :]
    x = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    if HAS_RESIDUAL:
        x += tl.load(residual_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
        rounded = x.to(sum_ptr.dtype.element_ty)
        tl.store(sum_ptr + offsets, rounded, mask=inside)
        x = rounded.to(tl.float32)  # normalise what the next layer will see
    weight = tl.load(weight_ptr + columns, mask=columns < D, other=0.0).to(tl.float32)[None, :]
    if LAYER:
        mean = tl.sum(x, axis=1) / D
        tl.store(mean_ptr + rows, mean, mask=rows < T)
        x = tl.where(inside, x - mean[:, None], 0.0)
    rstd = 1.0 / tl.sqrt(tl.sum(x * x, axis=1) / D + eps)
    tl.store(rstd_ptr + rows, rstd, mask=rows < T)
    normed = x * rstd[:, None]
    if LAYER:
        out = normed * weight + tl.load(bias_ptr + columns, mask=columns < D, other=0.0).to(tl.float32)[None, :]
    else:
        out = normed.to(x_ptr.dtype.element_ty).to(tl.float32) * weight
    tl.store(out_ptr + offsets, out.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _backward_kernel(
    grad_out_ptr, grad_sum_ptr, x_ptr, weight_ptr, mean_ptr, rstd_ptr, grad_x_ptr, grad_weight_ptr, grad_bias_ptr,
    T, D, LAYER: tl.constexpr, HAS_GRAD_SUM: tl.constexpr, STAGES: tl.constexpr, ROWS: tl.constexpr,
    BLOCK_D: tl.constexpr,
):  # fmt: skip
    """Row groups pid, pid + programs, ...: their grad_x, and this program's share of the weight (and bias) gradient."""
    columns = tl.arange(0, BLOCK_D)
    weight = tl.load(weight_ptr + columns, mask=columns < D, other=0.0).to(tl.float32)[None, :]
    grad_weight = tl.zeros((ROWS, BLOCK_D), dtype=tl.float32)
    grad_bias = tl.zeros((ROWS, BLOCK_D), dtype=tl.float32)
    for group in tl.range(tl.program_id(0), tl.cdiv(T, ROWS), tl.num_programs(0), num_stages=STAGES):
        rows = group * ROWS + tl.arange(0, ROWS)
        inside = (rows < T)[:, None] & (columns < D)[None, :]
        offsets = rows.to(tl.int64)[:, None] * D + columns[None, :]
        normed = tl.load(x_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
        grad = tl.load(grad_out_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
        rstd = tl.load(rstd_ptr + rows, mask=rows < T, other=0.0)[:, None]
        if LAYER:
            mean = tl.load(mean_ptr + rows, mask=rows < T, other=0.0)
            normed = tl.where(inside, normed - mean[:, None], 0.0)
        normed = normed * rstd
        if LAYER:
            grad_weight += grad * normed
            grad_bias += grad
        else:
            grad_weight += grad * normed.to(x_ptr.dtype.element_ty).to(tl.float32)
        grad = grad * weight
        grad_x = grad - normed * (tl.sum(grad * normed, axis=1) / D)[:, None]
        if LAYER:
            grad_x -= (tl.sum(grad, axis=1) / D)[:, None]
        grad_x *= rstd
        if HAS_GRAD_SUM:
            grad_x += tl.load(grad_sum_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
        tl.store(grad_x_ptr + offsets, grad_x.to(grad_x_ptr.dtype.element_ty), mask=inside)
    share = tl.program_id(0) * D + columns
    tl.store(grad_weight_ptr + share, tl.sum(grad_weight, axis=0), mask=columns < D)
    if LAYER:
        tl.store(grad_bias_ptr + share, tl.sum(grad_bias, axis=0), mask=columns < D)


def _tile(rows: int, width: int, elements: int) -> dict[str, int]:
    block = triton.next_power_of_2(width)
    group = max(1, min(elements // block, triton.next_power_of_2(rows)))
    return {"ROWS": group, "BLOCK_D": block, "num_warps": max(NUM_WARPS, min(16, block // 1024))}


def _forward(x, residual, weight, bias, eps):
    """(out, sum or None, mean or None, rstd) for contiguous x (T, D)."""
    rows, width = x.shape
    out = torch.empty_like(x)
    total = torch.empty_like(x) if residual is not None else None
    rstd = torch.empty(rows, dtype=torch.float32, device=x.device)
    mean = torch.empty_like(rstd) if bias is not None else None
    tile = _tile(rows, width, ELEMENTS)
    if rows:
        _forward_kernel[(triton.cdiv(rows, tile["ROWS"]),)](
            x, residual, weight, bias, out, total, mean, rstd, rows, width, eps,
            LAYER=bias is not None, HAS_RESIDUAL=residual is not None, **tile,
        )  # fmt: skip
    return out, total, mean, rstd


def _backward(grad_out, grad_total, x, weight, mean, rstd):
    """(grad_x, grad_weight, grad_bias or None); `x` is what was normalised, the sum where there was a residual."""
    rows, width = x.shape
    grad_x = torch.empty_like(x)
    tile = _tile(rows, width, ELEMENTS)
    programs = min(triton.cdiv(rows, tile["ROWS"]), BACKWARD_PROGRAMS_PER_SM * card(x.device).multiprocessors)
    shares = torch.empty(2 if mean is not None else 1, programs, width, dtype=torch.float32, device=x.device)
    if rows:
        _backward_kernel[(programs,)](
            grad_out.contiguous(), grad_total, x, weight, mean, rstd, grad_x, shares[0], shares[-1], rows, width,
            LAYER=mean is not None, HAS_GRAD_SUM=grad_total is not None, STAGES=BACKWARD_STAGES, **tile,
        )  # fmt: skip
    sums = shares.sum(dim=1).to(weight.dtype)
    return grad_x, sums[0], sums[1] if mean is not None else None


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, residual, weight, bias, eps):
        flat = x.reshape(-1, x.shape[-1]).contiguous()
        flat_residual = None if residual is None else residual.reshape(flat.shape).contiguous()
        out, total, mean, rstd = _forward(flat, flat_residual, weight.contiguous(), bias, eps)
        ctx.save_for_backward(flat if total is None else total, weight, mean, rstd)
        ctx.shape, ctx.has_residual = x.shape, residual is not None
        ctx.set_materialize_grads(False)  # no tensor of zeros for an output that nobody used
        return out.view(x.shape), None if total is None else total.view(x.shape)

    @staticmethod
    def backward(ctx, grad_out, grad_total):
        x, weight, mean, rstd = ctx.saved_tensors
        if grad_out is None:
            grad_out = torch.zeros_like(x)
        flat_total = None if grad_total is None else grad_total.reshape(x.shape).contiguous()
        grad_x, grad_weight, grad_bias = _backward(
            grad_out.reshape(x.shape), flat_total, x, weight.contiguous(), mean, rstd
        )
        grad_x = grad_x.view(ctx.shape)
        return grad_x, grad_x if ctx.has_residual else None, grad_weight, grad_bias, None


def rms_norm(
    x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-5, residual: torch.Tensor | None = None
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """x / sqrt(mean(x^2) + eps) over the last dimension, rounded to x's dtype, times weight.

    Args:
        x: (..., D), any strides.
        weight: (D,).
        eps: 1e-5 in the decoder, 1e-6 in `kv_a_layernorm`.
        residual: same shape as x; then x + residual is normalised.

    Returns:
        The normed tensor (..., D); with `residual` the pair (normed, x + residual).
    """
    _check("rms_norm", x, weight, residual)
    out, total = _Norm.apply(x, residual, weight, None, eps)
    return out if residual is None else (out, total)


def layer_norm(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    eps: float = 1e-5,
    residual: torch.Tensor | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last dimension, in fp32, rounded once.

    Shapes, `residual` and the result as in `rms_norm`; `bias` is (D,).
    """
    _check("layer_norm", x, weight, residual)
    out, total = _Norm.apply(x, residual, weight, bias.contiguous(), eps)
    return out if residual is None else (out, total)


def _check(name: str, x: torch.Tensor, weight: torch.Tensor, residual: torch.Tensor | None) -> None:
    if weight.shape != x.shape[-1:]:
        raise ValueError(f"{name}: weight {tuple(weight.shape)} does not fit x {tuple(x.shape)}; expected (D,)")
    if residual is not None and (residual.shape != x.shape or residual.dtype != x.dtype):
        raise ValueError(f"{name}: residual {tuple(residual.shape)} must be like x {tuple(x.shape)}, dtype too")


def rms_norm_reference(
    x: torch.Tensor, weight: torch.Tensor, eps: float = 1e-5, residual: torch.Tensor | None = None
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """`rms_norm` in plain torch: normalise in fp32 (float64 for float64), cast, then multiply."""
    total = x if residual is None else x + residual
    wide = total.to(torch.promote_types(total.dtype, torch.float32))
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    out = normed.to(total.dtype) * weight
    return out if residual is None else (out, total)


def layer_norm_reference(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    eps: float = 1e-5,
    residual: torch.Tensor | None = None,
) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
    """`layer_norm` in plain torch."""
    total = x if residual is None else x + residual
    wide = total.to(torch.promote_types(total.dtype, torch.float32))
    centred = wide - wide.mean(-1, keepdim=True)
    normed = centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps)
    out = (normed * weight + bias).to(total.dtype)
    return out if residual is None else (out, total)
