"""RMSNorm, rotary embedding and SwiGLU at 16,384 x 2048, all bound by memory (lesson 16)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ..common import relative_error
from ..elementwise.rms_norm import rms_norm, rms_norm_reference
from ..elementwise.rotary import rotary, rotary_reference
from ..elementwise.swiglu import swiglu, swiglu_reference
from .harness import Bench

EPS = 1e-5
TOLERANCE = 1e-2  # up to three bf16 roundings of at most 2^-9 each, which the interpreter cuts at 2^-8

Op = Callable[..., torch.Tensor]


def liger(name: str) -> Op | str:
    """A Liger function by the name of its class, or why it is missing."""
    try:
        import liger_kernel.ops as ops

        return getattr(ops, name).apply
    except Exception as error:
        return f"import: {error}"[:100]


def pair(bench: Bench, name: str, op: Op, reference: Op, leaves: list[torch.Tensor], constants: list[torch.Tensor],
         forward_bytes: float, backward_bytes: float, peers: dict[str, Op | str]) -> None:  # fmt: skip
    """A forward and a backward row of one op. Every peer takes the same leaves and constants as `op`."""
    shape = " x ".join(str(size) for size in leaves[0].shape)
    peers = {"torch.compile": torch.compile(reference), **peers} if not bench.interpret else peers
    out = op(*leaves, *constants)
    grad = torch.randn_like(out)
    wide = [t.detach().double().requires_grad_() for t in leaves]
    true = reference(*wide, *(c.double() for c in constants))
    detached = [t.detach() for t in leaves]

    def forward(call: Op | str) -> Callable[[], object] | str:
        return call if isinstance(call, str) else lambda: call(*detached, *constants)

    def backward(call: Op | str) -> Callable[[], object] | str:
        if isinstance(call, str):
            return call
        try:
            output = call(*leaves, *constants)
        except Exception as error:
            return f"{type(error).__name__}: {error}".split("\n")[0][:100]
        return lambda: torch.autograd.grad(output, leaves, grad, retain_graph=True)

    error = relative_error(out, true)
    bench.row(f"{name} fwd", shape, forward(op), error=error, tolerance=TOLERANCE, bytes=forward_bytes,
              peers={key: forward(peer) for key, peer in peers.items()})  # fmt: skip
    ours = torch.autograd.grad(out, leaves, grad, retain_graph=True)
    expected = torch.autograd.grad(true, wide, grad.double())
    error = max(relative_error(a, b) for a, b in zip(ours, expected, strict=True))
    bench.row(f"{name} bwd", shape, backward(op), error=error, tolerance=TOLERANCE, bytes=backward_bytes,
              peers={key: backward(peer) for key, peer in peers.items()})  # fmt: skip


def run(bench: Bench) -> None:
    """All rows; tiny shapes without a GPU."""
    rows, width, heads = (5, 32, 2) if bench.interpret else (16_384, 2048, 16)
    size = 2 * rows * width  # bytes of one bf16 tensor

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=bench.device).bfloat16().requires_grad_()

    rms = liger("LigerRMSNormFunction")
    pair(bench, "rms_norm", lambda x, w: rms_norm(x, w, EPS), lambda x, w: rms_norm_reference(x, w, EPS),
         [random(rows, width), random(width)], [], 2 * size, 3 * size,
         {"F.rms_norm": lambda x, w: F.rms_norm(x, (width,), w, EPS),
          "Liger": rms if isinstance(rms, str) else lambda x, w: rms(x, w, EPS, 0.0, "llama", False)})  # fmt: skip
    angles = torch.rand(rows, width // heads // 2, device=bench.device) * 6.28
    tables = [angles.cos(), angles.sin()]
    nbytes = 2 * size + 2 * 4 * angles.numel()
    pair(bench, "rotary", rotary, rotary_reference, [random(rows, heads, width // heads)], tables, nbytes, nbytes,
         {"Liger": "turns the halves of a row, not adjacent pairs"})  # fmt: skip
    for features in (width, 2816) if not bench.interpret else (width,):
        unit = 2 * rows * features
        pair(bench, "swiglu", swiglu, swiglu_reference, [random(rows, features) for _ in range(2)], [],
             3 * unit, 5 * unit, {"Liger": liger("LigerSiLUMulFunction")})  # fmt: skip
