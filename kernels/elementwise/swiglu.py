"""SwiGLU, silu(gate) * up, forward and backward in one pass each (lesson 16; MLP of lesson 6).

The backward kernel computes silu(gate) again instead of keeping it: torch would store it beside gate and up.

Cost for T rows and F columns in bf16: forward 6 T F bytes, backward 10 T F; about 10 FLOP an element.
"""

import torch
import triton
import triton.language as tl

BLOCK = 2048  # elements per program
NUM_WARPS = 4


@triton.jit
def _swiglu_kernel(gate_ptr, up_ptr, out_ptr, size, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    gate = tl.load(gate_ptr + at, mask=at < size, other=0.0).to(tl.float32)
    up = tl.load(up_ptr + at, mask=at < size, other=0.0).to(tl.float32)
    out = gate * tl.sigmoid(gate) * up
    tl.store(out_ptr + at, out.to(out_ptr.dtype.element_ty), mask=at < size)


@triton.jit
def _swiglu_backward_kernel(grad_ptr, gate_ptr, up_ptr, grad_gate_ptr, grad_up_ptr, size, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    grad = tl.load(grad_ptr + at, mask=at < size, other=0.0).to(tl.float32)
    gate = tl.load(gate_ptr + at, mask=at < size, other=0.0).to(tl.float32)
    up = tl.load(up_ptr + at, mask=at < size, other=0.0).to(tl.float32)
    sigmoid = tl.sigmoid(gate)
    silu = gate * sigmoid
    grad_gate = grad * up * (sigmoid + silu * (1.0 - sigmoid))
    tl.store(grad_gate_ptr + at, grad_gate.to(grad_gate_ptr.dtype.element_ty), mask=at < size)
    tl.store(grad_up_ptr + at, (grad * silu).to(grad_up_ptr.dtype.element_ty), mask=at < size)


class _SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate, up):
        out = torch.empty_like(gate)
        if out.numel():
            grid = (triton.cdiv(out.numel(), BLOCK),)
            _swiglu_kernel[grid](gate, up, out, out.numel(), BLOCK=BLOCK, num_warps=NUM_WARPS)
        ctx.save_for_backward(gate, up)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        gate, up = ctx.saved_tensors
        grad_gate, grad_up = torch.empty_like(gate), torch.empty_like(up)
        if gate.numel():
            grid = (triton.cdiv(gate.numel(), BLOCK),)
            grads = (grad_gate, grad_up, gate.numel())
            _swiglu_backward_kernel[grid](grad_out.contiguous(), gate, up, *grads, BLOCK=BLOCK, num_warps=NUM_WARPS)
        return grad_gate, grad_up


def swiglu(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up of two tensors of one shape, any strides, in fp32 and rounded once; in gate's dtype.

    Raises:
        ValueError: shapes or dtypes differ.
    """
    if gate.shape != up.shape or gate.dtype != up.dtype:
        sides = f"gate {tuple(gate.shape)} {gate.dtype} and up {tuple(up.shape)} {up.dtype}"
        raise ValueError(f"swiglu: {sides} must be alike")
    return _SwiGLU.apply(gate.contiguous(), up.contiguous())


def swiglu_reference(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """`swiglu` in plain torch, in the dtype of its inputs."""
    return torch.nn.functional.silu(gate) * up
