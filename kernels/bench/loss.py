"""Output head with cross-entropy: 8,192 tokens, width 2048, 163,840 classes, forward and backward (lessons 7, 16)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from ..common import relative_error
from ..loss.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_reference
from .harness import Bench

TOKENS, WIDTH, CLASSES = 8192, 2048, 163_840
CHECKED_TOKENS = 2500  # float64 logits of these take 3.3 GB; two chunks, the second one ragged

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def inputs(bench: Bench, tokens: int, width: int, classes: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """bf16 hidden and weight with logits of about unit variance, and labels of which a tenth is ignored."""
    hidden = torch.randn(tokens, width, device=bench.device).bfloat16().requires_grad_()
    weight = (torch.randn(classes, width, device=bench.device) * width**-0.5).bfloat16().requires_grad_()
    labels = torch.randint(0, classes, (tokens,), device=bench.device)
    labels[torch.rand(tokens, device=bench.device) < 0.1] = -100
    return hidden, weight, labels


def step(loss: Loss, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
    """Loss and both gradients."""
    value = loss(hidden, weight, labels)
    return [value, *torch.autograd.grad(value, (hidden, weight))]


def check(bench: Bench, tokens: int, width: int, classes: int) -> float:
    """The largest error of loss, hidden and weight gradient against float64 on the same bf16 inputs."""
    hidden, weight, labels = inputs(bench, tokens, width, classes)
    found = step(linear_cross_entropy, hidden, weight, labels)
    wide = [t.detach().double().requires_grad_() for t in (hidden, weight)]
    true = step(linear_cross_entropy_reference, *wide, labels)
    return max(relative_error(ours, theirs) for ours, theirs in zip(found, true, strict=True))


def peak_gib(fn: Callable[[], object]) -> float:
    """GiB allocated at the peak of `fn` beyond what was there before: gradients and every buffer."""
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    fn()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**30


def naive(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """All logits, in fp32 for the softmax, as model code has it."""
    return F.cross_entropy((hidden @ weight.T).float(), labels)


def peer_losses() -> dict[str, Loss | str]:
    """The peers that are installed, and the reason for each that is not."""
    peers: dict[str, Loss | str] = {"torch": naive, "torch.compile": torch.compile(naive)}
    try:
        from liger_kernel.ops.fused_linear_cross_entropy import LigerFusedLinearCrossEntropyFunction as liger

        peers["Liger"] = lambda hidden, weight, labels: liger.apply(hidden, weight, labels)[0]
    except Exception as error:
        peers["Liger"] = f"import: {error}"
    try:
        from cut_cross_entropy import linear_cross_entropy as cce

        # Unfiltered: on random inputs the filter would drop nearly every block, which is no measure of the work.
        peers["cut-cross-entropy"] = lambda *arguments: cce(*arguments, filter_eps=None)
    except Exception as error:
        peers["cut-cross-entropy"] = f"import: {error}"
    return peers


def run(bench: Bench) -> None:
    if bench.interpret:
        tokens, width, classes = 9, 16, 300
        error = check(bench, tokens, width, classes)
        hidden, weight, labels = inputs(bench, tokens, width, classes)
        peers: dict[str, Callable[[], object] | str] = {}
        note = ""
    else:
        tokens, width, classes = TOKENS, WIDTH, CLASSES
        error = check(bench, CHECKED_TOKENS, width, classes)
        torch.cuda.empty_cache()
        hidden, weight, labels = inputs(bench, tokens, width, classes)
        losses = peer_losses()
        peers = {
            name: loss if isinstance(loss, str) else (lambda loss=loss: step(loss, hidden, weight, labels))
            for name, loss in losses.items()
        }
        measured = {"ours": lambda: step(linear_cross_entropy, hidden, weight, labels)} | peers
        note = "GiB beyond the inputs, gradients included: " + memory_note(measured)
    bench.row(
        "linear_cross_entropy fwd+bwd", f"{tokens} x {width}, V {classes}",
        lambda: step(linear_cross_entropy, hidden, weight, labels),
        error=error, tolerance=2e-2, flops=6.0 * tokens * width * classes, items=tokens, item_unit="tokens",
        peers=peers, note=note,
    )  # fmt: skip


def memory_note(functions: dict[str, Callable[[], object] | str]) -> str:
    """`name GiB` of every function that runs."""
    parts = []
    for name, fn in functions.items():
        if isinstance(fn, str):
            continue
        try:
            fn()  # compiles, and allocates what stays
            parts.append(f"{name} {peak_gib(fn):.2f}")
        except Exception as error:
            parts.append(f"{name} failed ({type(error).__name__})")
    return ", ".join(parts)
