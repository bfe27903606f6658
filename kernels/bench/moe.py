"""Benchmark of the routed experts at Moonlight's shape: D 2048, F 1408, 64 experts, 6 per token, bf16 (lesson 16).

Targets on an H100: forward 520 TFLOP/s, forward and backward 440. The peer is torch's grouped_mm used as transformers'
`grouped_mm` experts use it: permute the tokens, two grouped products with SwiGLU between them, permute back.
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

from ..common import relative_error
from ..moe.decode import moe_decode
from ..moe.experts import moe_experts, moe_reference
from ..moe.router import route_tokens, route_tokens_reference
from .harness import Bench

Arguments = list[torch.Tensor]
TOLERANCE = 1.5e-2  # bf16 operands, A rounded to bf16 between the products; the interpreter truncates when it rounds


def make(bench: Bench, tokens: int) -> Arguments:
    """Random layer and tokens, tiny in the interpreter. Routing is uniform: group sizes vary by a few percent."""
    d, f, experts, top_k = (64, 48, 4, 2) if bench.interpret else (2048, 1408, 64, 6)
    generator = torch.Generator(bench.device).manual_seed(tokens)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator, device=bench.device)

    topk_weight, topk_idx = normal(tokens, experts).sigmoid().topk(top_k)
    gate_up_proj, down_proj = normal(experts, 2 * f, d) / d**0.5, normal(experts, d, f) / f**0.5
    x, gate_up_proj, down_proj = (t.to(torch.bfloat16) for t in (normal(tokens, d), gate_up_proj, down_proj))
    return [x, topk_idx, topk_weight, gate_up_proj, down_proj]


def differentiable(arguments: Arguments, dtype: torch.dtype | None = None) -> Arguments:
    return [t.detach().to(dtype or t.dtype).requires_grad_() if t.is_floating_point() else t for t in arguments]


def forward_backward(layer: Callable[..., torch.Tensor], arguments: Arguments, grad_out: torch.Tensor) -> Arguments:
    """Output and the gradients of all floating-point arguments."""
    floats = [t for t in arguments if t.is_floating_point()]
    out = layer(*arguments)
    return [out.detach(), *torch.autograd.grad(out, floats, grad_out.to(out.dtype))]


def grouped_mm_experts(x, topk_idx, topk_weight, gate_up_proj, down_proj) -> torch.Tensor:
    """The peer: gathered copies of the rows, two calls of torch's grouped product, an unpermuted sum."""
    slots = topk_idx.flatten()
    order = slots.argsort()
    counts = torch.histc(slots.int(), bins=gate_up_proj.shape[0], min=0, max=gate_up_proj.shape[0] - 1)
    offsets = counts.cumsum(0, dtype=torch.int32)
    h = F.grouped_mm(x[order // topk_idx.shape[1]], gate_up_proj.transpose(1, 2), offs=offsets)
    gate, up = h.chunk(2, dim=-1)
    y = F.grouped_mm(F.silu(gate) * up, down_proj.transpose(1, 2), offs=offsets)
    y = (y * topk_weight.flatten()[order, None]).to(x.dtype)
    return y[order.argsort()].view(*topk_idx.shape, -1).sum(1)


def describe(arguments: Arguments) -> str:
    (tokens, top_k), (experts, two_f, d) = arguments[1].shape, arguments[3].shape
    return f"T{tokens} D{d} F{two_f // 2} E{experts} K{top_k} bf16"


def flops(arguments: Arguments) -> float:
    """Of one forward pass: three D x F products per chosen expert; the backward pass does twice that."""
    return 6.0 * arguments[1].numel() * arguments[4].shape[1] * arguments[4].shape[2]


def forward_rows(bench: Bench, tokens: int) -> None:
    """Inference forward (H is not stored), and at the larger size the forward of training."""
    arguments = make(bench, tokens)
    exact = moe_reference(*[t.double() if t.is_floating_point() else t for t in arguments])
    error = relative_error(moe_experts(*arguments), exact)
    bench.row(
        "moe forward", describe(arguments), lambda: moe_experts(*arguments), error=error, tolerance=TOLERANCE,
        flops=flops(arguments),
        peers={
            "torch grouped_mm": lambda: grouped_mm_experts(*arguments),
            "torch loop": lambda: moe_reference(*arguments),
            "torch.compile": "the reference breaks the graph at every expert, its row counts depend on the data",
        },
    )  # fmt: skip


def training_row(bench: Bench, tokens: int) -> None:
    """Forward and backward, with the largest error among the output and the four gradients."""
    arguments = differentiable(make(bench, tokens))
    grad_out = torch.randn_like(arguments[0])
    exact = forward_backward(moe_reference, differentiable(arguments, torch.float64), grad_out)
    ours = forward_backward(moe_experts, arguments, grad_out)
    error = max(relative_error(a, b) for a, b in zip(ours, exact, strict=True))
    del exact, ours
    bench.row(
        "moe forward, H stored", describe(arguments), lambda: moe_experts(*arguments), error=error,
        tolerance=TOLERANCE, flops=flops(arguments),
        peers={"torch grouped_mm": lambda: grouped_mm_experts(*arguments)},
    )  # fmt: skip
    bench.row(
        "moe forward + backward", describe(arguments),
        lambda: forward_backward(moe_experts, arguments, grad_out), error=error, tolerance=TOLERANCE,
        flops=3 * flops(arguments),
        peers={"torch grouped_mm": lambda: forward_backward(grouped_mm_experts, arguments, grad_out)},
    )  # fmt: skip


def decode_row(bench: Bench, tokens: int) -> None:
    """Bound by the weights of the distinct experts, each counted once."""
    arguments = make(bench, tokens)
    exact = moe_reference(*[t.double() if t.is_floating_point() else t for t in arguments])
    weights = arguments[3][0].nbytes + arguments[4][0].nbytes
    bench.row(
        "moe decode", describe(arguments), lambda: moe_decode(*arguments),
        error=relative_error(moe_decode(*arguments), exact), tolerance=TOLERANCE,
        bytes=arguments[1].unique().numel() * weights,
        peers={
            "grouped GEMM (ours)": lambda: moe_experts(*arguments),
            "torch grouped_mm": lambda: grouped_mm_experts(*arguments),
        },
    )  # fmt: skip


def router_rows(bench: Bench, tokens: int) -> None:
    """The router: bound by reading the tokens, and for a few of them by launches."""
    width, experts, top_k = (64, 12, 3) if bench.interpret else (2048, 64, 6)
    x = torch.randn(tokens, width, device=bench.device).bfloat16().requires_grad_()
    weight = (torch.randn(experts, width, device=bench.device) * width**-0.5).bfloat16().requires_grad_()
    bias = torch.zeros(experts, device=bench.device)

    def step(route: Callable[..., tuple[torch.Tensor, ...]], x, weight) -> Arguments:
        scores, _, weights = route(x, weight, bias.to(torch.promote_types(x.dtype, torch.float32)), top_k, 2.5)
        upstream = [torch.ones_like(scores), torch.ones_like(weights)]
        return [scores.detach(), weights.detach(), *torch.autograd.grad((scores, weights), (x, weight), upstream)]

    exact = step(route_tokens_reference, *(t.detach().double().requires_grad_() for t in (x, weight)))
    errors = [relative_error(a, b) for a, b in zip(step(route_tokens, x, weight), exact, strict=True)]
    shape = f"T{tokens} D{width} E{experts} K{top_k} bf16"
    with torch.no_grad():
        bench.row(
            "router forward", shape, lambda: route_tokens(x, weight, bias, top_k, 2.5), error=max(errors[:2]),
            tolerance=1e-5, bytes=x.nbytes + weight.nbytes + 4 * tokens * experts,
            peers={"torch": lambda: route_tokens_reference(x, weight, bias, top_k, 2.5)},
        )  # fmt: skip
    bench.row(
        "router forward + backward", shape, lambda: step(route_tokens, x, weight), error=max(errors),
        tolerance=TOLERANCE, bytes=3 * x.nbytes + 2 * weight.nbytes + 20 * tokens * experts,
        peers={"torch": lambda: step(route_tokens_reference, x, weight)},
    )  # fmt: skip


def run(bench: Bench) -> None:
    """All rows of the routed experts."""
    for tokens in (24,) if bench.interpret else (16384, 1):
        router_rows(bench, tokens)
    for tokens in (24,) if bench.interpret else (16384, 4096):
        with torch.no_grad():
            forward_rows(bench, tokens)
    training_row(bench, 24 if bench.interpret else 16384)
    for tokens in (2,) if bench.interpret else (1, 4, 8):
        with torch.no_grad():
            decode_row(bench, tokens)
