"""SwiGLU, silu(gate) * up, on the two halves of one projection, forward and backward (lesson 16; MLP of lesson 6).

One pass each way: the backward kernel computes silu(gate) again instead of keeping it, and writes both halves of the
gradient into one tensor, the shape the projection's backward product wants.

Cost for T rows and F columns out in bf16: forward 6 T F bytes, backward 10 T F; about 10 FLOP an element.
"""

import torch
import triton
import triton.language as tl

ELEMENTS = 2048  # outputs per program
NUM_WARPS = 4


@triton.jit
def _forward_kernel(gate_up_ptr, out_ptr, T, F, ROWS: tl.constexpr, BLOCK_F: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = (rows < T)[:, None] & (columns < F)[None, :]
    offsets = rows.to(tl.int64)[:, None] * F + columns[None, :]
    wide = rows.to(tl.int64)[:, None] * (2 * F) + columns[None, :]
    gate = tl.load(gate_up_ptr + wide, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up_ptr + wide + F, mask=inside, other=0.0).to(tl.float32)
    out = gate * tl.sigmoid(gate) * up
    tl.store(out_ptr + offsets, out.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _backward_kernel(grad_ptr, gate_up_ptr, grad_gate_up_ptr, T, F, ROWS: tl.constexpr, BLOCK_F: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    columns = tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    inside = (rows < T)[:, None] & (columns < F)[None, :]
    offsets = rows.to(tl.int64)[:, None] * F + columns[None, :]
    wide = rows.to(tl.int64)[:, None] * (2 * F) + columns[None, :]
    grad = tl.load(grad_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    gate = tl.load(gate_up_ptr + wide, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up_ptr + wide + F, mask=inside, other=0.0).to(tl.float32)
    sigmoid = tl.sigmoid(gate)
    silu = gate * sigmoid
    grad_gate = grad * up * (sigmoid + silu * (1.0 - sigmoid))
    tl.store(grad_gate_up_ptr + wide, grad_gate.to(grad_gate_up_ptr.dtype.element_ty), mask=inside)
    tl.store(grad_gate_up_ptr + wide + F, (grad * silu).to(grad_gate_up_ptr.dtype.element_ty), mask=inside)


def _tile(rows: int, width: int) -> dict[str, int]:
    """A whole row up to 2048 columns, or several short ones. In one block 1408 columns beat 11 x 128."""
    block = min(ELEMENTS, triton.next_power_of_2(width))
    return {"ROWS": max(1, min(ELEMENTS // block, triton.next_power_of_2(rows))), "BLOCK_F": block}


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate_up):
        flat = gate_up.reshape(-1, gate_up.shape[-1]).contiguous()
        rows, width = flat.shape[0], flat.shape[1] // 2
        out = torch.empty(rows, width, dtype=flat.dtype, device=flat.device)
        tile = _tile(rows, width)
        if out.numel():
            grid = (triton.cdiv(rows, tile["ROWS"]), triton.cdiv(width, tile["BLOCK_F"]))
            _forward_kernel[grid](flat, out, rows, width, **tile, num_warps=NUM_WARPS)
        ctx.save_for_backward(flat)
        return out.view(*gate_up.shape[:-1], width)

    @staticmethod
    def backward(ctx, grad_out):
        (flat,) = ctx.saved_tensors
        rows, width = flat.shape[0], flat.shape[1] // 2
        grad_gate_up = torch.empty_like(flat)
        tile = _tile(rows, width)
        if grad_gate_up.numel():
            grid = (triton.cdiv(rows, tile["ROWS"]), triton.cdiv(width, tile["BLOCK_F"]))
            _backward_kernel[grid](grad_out.contiguous(), flat, grad_gate_up, rows, width, **tile, num_warps=NUM_WARPS)
        return grad_gate_up.view(*grad_out.shape[:-1], 2 * width)


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up for gate_up (..., 2F) = [gate, up], any strides; (..., F), in fp32, rounded once.

    Raises:
        ValueError: when the last dimension is odd or zero.
    """
    if gate_up.shape[-1] % 2 or gate_up.shape[-1] == 0:
        raise ValueError(f"swiglu: last dimension {gate_up.shape[-1]} must be even and positive: gate, then up")
    return _SwiGLU.apply(gate_up)


def swiglu_reference(gate_up: torch.Tensor) -> torch.Tensor:
    """`swiglu` in plain torch, in the dtype of its input."""
    gate, up = gate_up.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate) * up
