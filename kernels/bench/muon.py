"""Newton-Schulz over the routed experts of kimi-vl-a3b, and the update with stochastic rounding (lessons 8, 16).

One layer: 64 experts with gate and up (1408 x 2048) and down (2048 x 1408), 192 matrices; 26 layers: 4,992 matrices.
FLOP are those of the form that runs: the Gram form needs (14 + 6 r) n^3 a matrix, plain products 5 (4 r + 2) n^3.
"""

from collections.abc import Callable

import torch

from ..common import relative_error
from ..muon.newton_schulz import COEFFICIENTS, newton_schulz, newton_schulz_reference
from ..muon.stochastic_rounding import stochastic_add_, stochastic_round
from .harness import Bench

LAYERS, EXPERTS, ROWS, COLUMNS = 26, 64, 1408, 2048


def gram_flops(n: int, m: int) -> float:
    """Gram form, five iterations, one restart, symmetric products at half; n <= m."""
    return (14 + 6 * m / n) * n**3


def symmetric_flops(n: int, m: int) -> float:
    return 5 * (3 * m / n + 1) * n**3


def bmm_newton_schulz(x: torch.Tensor) -> torch.Tensor:
    """Plain batched bf16 products with fused additions: what one writes in torch."""
    a, b, c = COEFFICIENTS
    x = x / x.norm(dim=(1, 2), keepdim=True)
    for _ in range(5):
        gram = torch.bmm(x, x.mT)
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def torch_muon_loop(x: torch.Tensor) -> Callable[[], object] | str:
    """The Newton-Schulz of torch.optim.Muon, which takes one matrix at a time."""
    try:
        from torch.optim._muon import _zeropower_via_newtonschulz as one
    except ImportError:
        return "this torch has no torch.optim.Muon"
    return lambda: [one(matrix, COEFFICIENTS, 5, 1e-7) for matrix in x]


def check(bench: Bench, form: str, gate_up: torch.Tensor, down: torch.Tensor) -> float:
    """The larger error of a wide and a tall sample against float64, 0.2% to 0.3% in fp16."""
    samples = [gate_up[:2], down[:2]]
    return max(relative_error(newton_schulz(s, form=form), newton_schulz_reference(s.double())) for s in samples)


def run(bench: Bench) -> None:
    layers, experts, n, m = (1, 2, 40, 72) if bench.interpret else (LAYERS, EXPERTS, ROWS, COLUMNS)
    momentum = [_layer(bench, experts, n, m) for _ in range(layers)]
    gate_up, down = momentum[0]
    shape = f"{3 * experts} x {n} x {m}"
    peers: dict[str, Callable[[], object] | str] = {
        "torch bmm": lambda: (bmm_newton_schulz(gate_up), bmm_newton_schulz(down.mT))
    }
    for form, flops in (("gram", gram_flops(n, m)), ("symmetric", symmetric_flops(n, m))):
        bench.row(
            f"newton_schulz {form}", f"one layer, {shape}",
            lambda form=form: (newton_schulz(gate_up, form=form), newton_schulz(down, form=form)),
            error=check(bench, form, gate_up, down), tolerance=1e-2, flops=3 * experts * flops,
            items=3 * experts, item_unit="matrices", peers=peers,
        )  # fmt: skip
    bench.row(
        "newton_schulz gram", f"8 x {n} x {m}", lambda: newton_schulz(gate_up[:8]),
        error=check(bench, "gram", gate_up, down), tolerance=1e-2, flops=8 * gram_flops(n, m),
        peers={"torch.optim.Muon loop": torch_muon_loop(gate_up[:8])}, note="8 matrices because torch takes one by one",
    )  # fmt: skip
    if not bench.interpret:
        bench.row(
            "newton_schulz gram", f"{layers} layers, {layers * 3 * experts} x {n} x {m}",
            lambda: [(newton_schulz(wide), newton_schulz(tall)) for wide, tall in momentum],
            error=check(bench, "gram", *momentum[-1]), tolerance=1e-2,
            flops=layers * 3 * experts * gram_flops(n, m), items=layers * 3 * experts, item_unit="matrices",
            peers={"torch bmm": lambda: [(bmm_newton_schulz(w), bmm_newton_schulz(t.mT)) for w, t in momentum]},
        )  # fmt: skip
    _stochastic(bench, gate_up)


def _layer(bench: Bench, experts: int, n: int, m: int) -> tuple[torch.Tensor, torch.Tensor]:
    gate_up = torch.randn(2 * experts, n, m, device=bench.device, dtype=torch.bfloat16)
    return gate_up, torch.randn(experts, m, n, device=bench.device, dtype=torch.bfloat16)


def _stochastic(bench: Bench, param: torch.Tensor) -> None:
    update = torch.randn_like(param)
    value = 1 + 2**-10
    mean = stochastic_round(torch.full((65536,), value, device=bench.device), seed=1).double().mean().item()
    rounded = param.clone()
    bench.row(
        "stochastic_add_", f"{param.numel():,} bf16", lambda: stochastic_add_(rounded, update, 1, lr=1e-3),
        error=abs(mean - value), tolerance=5e-5, bytes=6 * param.numel(),
        peers={"torch add_, to nearest": lambda: rounded.add_(update, alpha=-1e-3)},
        note="error: mean of 65,536 roundings of 1 + 2^-10",
    )  # fmt: skip
