"""The routed experts of one MoE layer: readable reference, and Triton version with its backward (lessons 06 and 16).

    out[t] = sum over k of w[t, k] * Expert_{idx[t, k]}(x[t]),   Expert_e(x) = W_down (silu(W_gate x) * (W_up x))

(Moonlight, arXiv 2502.16982, uses DeepSeek-V3's layer: 64 routed experts, 6 per token; the shared expert and the
router are not here.) After routing the fast version runs three kernels forward: up + SwiGLU, down, combine; and five
backward: dH, dX rows, combine, one weight gradient each. It saves X, the pre-activation H and the routing plan.
"""

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .combine import combine
from .down_backward import down_backward
from .grouped_gemm import multiply_rows, weight_gradient
from .routing import RoutingPlan, route
from .tiles import choose_block_m
from .up_swiglu import up_swiglu

GradBuffers = tuple[torch.Tensor, torch.Tensor]


def moe_reference(
    x: torch.Tensor,
    topk_idx: torch.Tensor,
    topk_weight: torch.Tensor,
    gate_up_proj: torch.Tensor,
    down_proj: torch.Tensor,
) -> torch.Tensor:
    """The layer as a loop over experts, in plain torch; shapes and meaning as in `moe_experts`."""
    out = torch.zeros_like(x)
    for expert in range(gate_up_proj.shape[0]):
        token, k = (topk_idx == expert).nonzero(as_tuple=True)
        gate, up = F.linear(x[token], gate_up_proj[expert]).chunk(2, dim=-1)
        y = F.linear(F.silu(gate) * up, down_proj[expert])
        out = out.index_add(0, token, (y * topk_weight[token, k, None]).to(x.dtype))
    return out


class _MoeExperts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, topk_idx, topk_weight, gate_up_proj, down_proj, grad_buffers, training):
        block_m = choose_block_m(topk_idx.numel(), gate_up_proj.shape[0], x)
        plan = route(topk_idx, gate_up_proj.shape[0], block_m)
        a, h = up_swiglu(x, gate_up_proj, plan, save_h=training)
        y = multiply_rows(a, down_proj, plan, transposed=True)
        ctx.save_for_backward(x, topk_weight, gate_up_proj, down_proj, h, *plan[:-1])
        ctx.block_m, ctx.grad_buffers = block_m, grad_buffers
        return combine(y, plan, topk_idx.shape[1], topk_weight)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_out):
        x, topk_weight, gate_up_proj, down_proj, h, *tables = ctx.saved_tensors
        plan = RoutingPlan(*tables, ctx.block_m)
        grad_out = grad_out.contiguous()
        # This thread has no CUDA context before its first launch, and encoding a TMA descriptor needs one.
        grad_out.new_zeros(1)
        dh, wa, dweight = down_backward(grad_out, down_proj, h, topk_weight, plan)
        del h
        dx = combine(multiply_rows(dh, gate_up_proj, plan, transposed=False), plan, topk_weight.shape[1])
        accumulate = ctx.grad_buffers is not None
        buffers = ctx.grad_buffers or (torch.empty_like(gate_up_proj), torch.empty_like(down_proj))
        if accumulate or ctx.needs_input_grad[3]:
            weight_gradient(dh, x, plan, gather_left=False, out=buffers[0], accumulate=accumulate)
        if accumulate or ctx.needs_input_grad[4]:
            weight_gradient(grad_out, wa, plan, gather_left=True, out=buffers[1], accumulate=accumulate)
        dgate_up, ddown = (None, None) if accumulate else buffers
        return dx, None, dweight.to(topk_weight.dtype), dgate_up, ddown, None, None


def moe_experts(
    x: torch.Tensor,
    topk_idx: torch.Tensor,
    topk_weight: torch.Tensor,
    gate_up_proj: torch.Tensor,
    down_proj: torch.Tensor,
    grad_buffers: GradBuffers | None = None,
) -> torch.Tensor:
    """Routed experts by grouped GEMM; differentiable in x, topk_weight and both weights.

    Args:
        x: (T, D) tokens, bf16, fp16 or fp32.
        topk_idx: (T, K) integer expert ids in [0, E).
        topk_weight: (T, K) weights of the chosen experts, any float dtype.
        gate_up_proj: (E, 2F, D) in x's dtype, gate rows first, then up rows.
        down_proj: (E, D, F) in x's dtype.
        grad_buffers: contiguous (E, 2F, D) and (E, D, F) tensors of any float dtype. When given, the backward pass adds
            the weight gradients to them in place and returns none, so accumulating over micro-batches needs no second
            copy of the experts' gradients.

    Returns:
        (T, D) in x's dtype. Sums run in fp32 and in a fixed order: the same input gives the same bits.

    Raises:
        ValueError: shapes or dtypes do not fit together.
    """
    check_arguments(x, topk_idx, topk_weight, gate_up_proj, down_proj)
    for buffer, weight in zip(grad_buffers or (), (gate_up_proj, down_proj), strict=False):
        if buffer.shape != weight.shape or not buffer.is_contiguous():
            raise ValueError(f"grad buffer {tuple(buffer.shape)} must be contiguous and of shape {tuple(weight.shape)}")
    if x.shape[0] == 0:
        return moe_reference(x, topk_idx, topk_weight, gate_up_proj, down_proj)
    tensors = (x, topk_idx, topk_weight, gate_up_proj, down_proj)
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return _MoeExperts.apply(*(tensor.contiguous() for tensor in tensors), grad_buffers, training)


def check_arguments(
    x: torch.Tensor,
    topk_idx: torch.Tensor,
    topk_weight: torch.Tensor,
    gate_up_proj: torch.Tensor,
    down_proj: torch.Tensor,
) -> None:
    """Raise ValueError, naming both sides, when the arguments of `moe_experts` do not fit together."""
    (num_tokens, d), (num_experts, two_f, _) = x.shape, gate_up_proj.shape
    expected = {
        "topk_idx": (topk_idx, (num_tokens, topk_idx.shape[-1])),
        "topk_weight": (topk_weight, tuple(topk_idx.shape)),
        "gate_up_proj": (gate_up_proj, (num_experts, two_f // 2 * 2, d)),
        "down_proj": (down_proj, (num_experts, d, two_f // 2)),
    }
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape} beside x {tuple(x.shape)}")
    if not x.dtype == gate_up_proj.dtype == down_proj.dtype:
        raise ValueError(f"dtypes differ: x {x.dtype}, gate_up_proj {gate_up_proj.dtype}, down_proj {down_proj.dtype}")
