"""bf16 parameter update with stochastic rounding, deterministic from a seed (lesson 16; used for Muon, lesson 8).

An update far below half a bf16 step (2^-9 of the weight) is lost when rounded to nearest. Adding 16 random bits below
the kept mantissa and cutting rounds up with the probability of the part cut off: right on average, with no fp32 copy of
the weights. Cost: 6 bytes per parameter with a bf16 update (read both, write one); one Philox call gives the random
bits of four parameters.
"""

import torch
import triton
import triton.language as tl

BLOCK = 512  # Philox calls per program; each serves four parameters


@triton.jit
def _round_bits(value, random_bits):
    """fp32 value rounded to a bf16-representable fp32 by the low 16 of `random_bits`; NaN and infinity unchanged."""
    bits = value.to(tl.int32, bitcast=True)
    rounded = ((bits + (random_bits & 0xFFFF)) & -65536).to(tl.float32, bitcast=True)
    finite = tl.abs(value) < float("inf")
    return tl.where(finite, rounded, value)


@triton.jit
def _round_segment(param_ptr, update_ptr, out_ptr, offsets, size, random_bits, keep, step, HAS_UPDATE: tl.constexpr):
    inside = offsets < size
    value = tl.load(param_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    if HAS_UPDATE:
        update = tl.load(update_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
        value = value * keep - step * update
    rounded = _round_bits(value, random_bits.to(tl.int32, bitcast=True))
    tl.store(out_ptr + offsets, rounded.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["seed"])
def _stochastic_add_kernel(
    param_ptr, update_ptr, out_ptr, size, seed, keep, step, HAS_UPDATE: tl.constexpr, BLOCK: tl.constexpr
):
    """out = round(keep * param - step * update); the random bits depend on the seed and the position alone."""
    start = tl.program_id(0).to(tl.int64) * (4 * BLOCK)
    lane = tl.arange(0, BLOCK)
    calls = tl.program_id(0) * BLOCK + lane
    r0, r1, r2, r3 = tl.randint4x(seed, calls)
    offsets = start + lane
    _round_segment(param_ptr, update_ptr, out_ptr, offsets, size, r0, keep, step, HAS_UPDATE)
    _round_segment(param_ptr, update_ptr, out_ptr, offsets + BLOCK, size, r1, keep, step, HAS_UPDATE)
    _round_segment(param_ptr, update_ptr, out_ptr, offsets + 2 * BLOCK, size, r2, keep, step, HAS_UPDATE)
    _round_segment(param_ptr, update_ptr, out_ptr, offsets + 3 * BLOCK, size, r3, keep, step, HAS_UPDATE)


def stochastic_add_(
    param: torch.Tensor,
    update: torch.Tensor,
    seed: int,
    *,
    lr: float = -1.0,
    weight_decay: float = 0.0,
    scale: float = 1.0,
) -> torch.Tensor:
    """param <- round(param (1 - lr weight_decay) - lr scale update), in fp32, then stochastically to bf16; in place.

    Args:
        param: bf16, contiguous, any shape.
        update: same shape, any float dtype; a strided view is copied.
        seed: 0 <= seed < 2^31; the same seed gives the same bits. Use a new one per parameter and step.
        lr: learning rate; the default -1 adds the update as it is.
        weight_decay: decoupled decay, multiplied by the unscaled learning rate.
        scale: of the update alone; Muon's 0.2 sqrt(max(rows, columns)).

    Raises:
        ValueError: for a parameter that is not contiguous bf16, or an update of another shape.
    """
    if param.dtype != torch.bfloat16 or not param.is_contiguous():
        raise ValueError(f"stochastic_add_: param must be contiguous bfloat16, got {param.dtype}; make it so first")
    if param.shape != update.shape:
        raise ValueError(f"stochastic_add_: param {tuple(param.shape)} and update {tuple(update.shape)} differ")
    _launch(param, update.contiguous(), param, seed, 1.0 - lr * weight_decay, lr * scale)
    return param


def stochastic_round(x: torch.Tensor, seed: int) -> torch.Tensor:
    """x (fp32, any shape) rounded stochastically to a new bf16 tensor; its mean over seeds is x."""
    x = x.contiguous()
    out = torch.empty_like(x, dtype=torch.bfloat16)
    _launch(x, None, out, seed, 1.0, 0.0)
    return out


def _launch(
    param: torch.Tensor, update: torch.Tensor | None, out: torch.Tensor, seed: int, keep: float, step: float
) -> None:
    size = param.numel()
    if size == 0:
        return
    block = min(BLOCK, max(16, triton.next_power_of_2(triton.cdiv(size, 4))))
    grid = (triton.cdiv(size, 4 * block),)
    _stochastic_add_kernel[grid](param, update, out, size, seed, keep, step, HAS_UPDATE=update is not None, BLOCK=block)


def stochastic_round_reference(x: torch.Tensor, random_bits: torch.Tensor) -> torch.Tensor:
    """x (fp32) to bf16 by adding `random_bits` (int32, 0 to 65,535) below the kept mantissa and cutting."""
    bits = (x.contiguous().view(torch.int32) + random_bits) & -65536
    return torch.where(x.isfinite(), bits.view(torch.float32), x).to(torch.bfloat16)
