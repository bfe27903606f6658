"""RMSNorm, LayerNorm, rotary embedding and SwiGLU at 16,384 x 2048, all bound by memory (lesson 16)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ..common import relative_error
from ..elementwise.norms import layer_norm, layer_norm_reference, rms_norm, rms_norm_reference
from ..elementwise.rotary import rotary, rotary_reference
from ..elementwise.swiglu import swiglu, swiglu_reference
from .harness import Bench

EPS = 1e-5
TOLERANCE = 1e-2  # up to three bf16 roundings of at most 2^-9 each, which the interpreter cuts at 2^-8

Op = Callable[..., object]


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
    outs = _tuple(op(*leaves, *constants))
    grads = [torch.randn_like(out) for out in outs]
    wide = [t.detach().double().requires_grad_() for t in leaves]
    true = _tuple(reference(*wide, *(c.double() for c in constants)))
    detached = [t.detach() for t in leaves]

    def forward(call: Op | str) -> Callable[[], object] | str:
        return call if isinstance(call, str) else lambda: call(*detached, *constants)

    def backward(call: Op | str) -> Callable[[], object] | str:
        if isinstance(call, str):
            return call
        try:
            outputs = _tuple(call(*leaves, *constants))
        except Exception as error:
            return f"{type(error).__name__}: {error}".split("\n")[0][:100]
        return lambda: torch.autograd.grad(outputs, leaves, grads, retain_graph=True)

    error = max(relative_error(a, b) for a, b in zip(outs, true, strict=True))
    bench.row(f"{name} fwd", shape, forward(op), error=error, tolerance=TOLERANCE, bytes=forward_bytes,
              peers={key: forward(peer) for key, peer in peers.items()})  # fmt: skip
    ours = torch.autograd.grad(outs, leaves, grads, retain_graph=True)
    expected = torch.autograd.grad(true, wide, [g.double() for g in grads])
    error = max(relative_error(a, b) for a, b in zip(ours, expected, strict=True))
    bench.row(f"{name} bwd", shape, backward(op), error=error, tolerance=TOLERANCE, bytes=backward_bytes,
              peers={key: backward(peer) for key, peer in peers.items()})  # fmt: skip


def _tuple(outputs: object) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def run(bench: Bench) -> None:
    rows, width, heads = (5, 32, 2) if bench.interpret else (16_384, 2048, 16)
    size = 2 * rows * width  # bytes of one bf16 tensor

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=bench.device).bfloat16().requires_grad_()

    x, residual, weight, bias = random(rows, width), random(rows, width), random(width), random(width)
    _norms(bench, x, residual, weight, bias, size)
    angles = torch.rand(rows, width // heads // 2, device=bench.device) * 6.28
    tables = [angles.cos(), angles.sin()]
    nbytes = 2 * size + 2 * 4 * angles.numel()
    pair(bench, "rotary", rotary, rotary_reference, [random(rows, heads, width // heads)], tables, nbytes, nbytes,
         {"Liger": "turns the halves of a row, not adjacent pairs"})  # fmt: skip
    silu_mul = liger("LigerSiLUMulFunction")
    if not isinstance(silu_mul, str):
        call = silu_mul
        silu_mul = lambda gate_up: call(*gate_up.chunk(2, dim=-1))  # noqa: E731
    for features in (width, 1408) if not bench.interpret else (width,):
        unit = 2 * rows * features
        pair(bench, "swiglu", swiglu, swiglu_reference, [random(rows, 2 * features)], [], 3 * unit, 5 * unit,
             {"Liger": silu_mul})  # fmt: skip


def _norms(
    bench: Bench, x: torch.Tensor, residual: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, size: int
) -> None:
    width = x.shape[-1]
    rms, layer = liger("LigerRMSNormFunction"), liger("LigerLayerNormFunction")
    added = liger("LigerFusedAddRMSNormFunction")
    pair(bench, "rms_norm", lambda x, w: rms_norm(x, w, EPS), lambda x, w: rms_norm_reference(x, w, EPS),
         [x, weight], [], 2 * size, 3 * size,
         {"F.rms_norm": lambda x, w: F.rms_norm(x, (width,), w, EPS),
          "Liger": rms if isinstance(rms, str) else lambda x, w: rms(x, w, EPS, 0.0, "llama", False)})  # fmt: skip
    pair(bench, "rms_norm + residual", lambda x, r, w: rms_norm(x, w, EPS, r),
         lambda x, r, w: rms_norm_reference(x, w, EPS, r), [x, residual, weight], [], 4 * size, 4 * size,
         {"Liger": added if isinstance(added, str) else lambda x, r, w: added(x, r, w, EPS, 0.0, "llama", False)},
         )  # fmt: skip
    pair(bench, "layer_norm", lambda x, w, b: layer_norm(x, w, b, EPS),
         lambda x, w, b: layer_norm_reference(x, w, b, EPS), [x, weight, bias], [], 2 * size, 3 * size,
         {"F.layer_norm": lambda x, w, b: F.layer_norm(x, (width,), w, b, EPS),
          "Liger": layer if isinstance(layer, str) else lambda x, w, b: layer(x, w, b, EPS)})  # fmt: skip
