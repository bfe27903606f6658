"""Finding: selection biases keep the experts evenly loaded without a loss for it (lesson 06).

Moonlight report (arXiv 2502.16982), appendix C, after DeepSeek-V3 (arXiv 2412.19437), section 2.1.2. The measure is max
violation: the busiest expert's tokens over the mean, minus 1. No balance loss in either run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minikimi.findings.finding import Measurement, Prepared, Verdict, column, span
from minikimi.findings.plot import COLOURS, lines
from minikimi.findings.texts import as_text, batches, held_out_batches, world
from minikimi.findings.toy_training import loss_on, text_model, train

LR = 6e-3
EXPERTS = {"n_routed_experts": 16, "num_experts_per_tok": 4, "routed_scaling_factor": 1.9908}
RATES = {"with": 1e-2, "without": 0.0}  # a run of hundreds of steps, not of a hundred thousand: ten times 0.001
WINDOW = 20


TITLE = "Experts balanced by a bias"
CLAIM = "a selection bias moved by the sign of the load error keeps experts balanced (max violation near 0)"
SOURCE = "DeepSeek-V3, arXiv 2412.19437, section 2.1.2; Moonlight, arXiv 2502.16982, appendix C"
RULE = "in every seed at most half the max violation of the run without bias"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    steps = 2 * WINDOW if quick else 400
    data = batches(world(seed), as_text, steps)
    held_out = held_out_batches(seed, as_text, quick)
    out: Measurement = {"steps": list(range(WINDOW, steps + 1, WINDOW))}
    for kind, rate in RATES.items():
        model = text_model(seed, **EXPERTS)
        violations = train(model, data, LR, bias_rate=rate).violations
        windows = [violations[i : i + WINDOW] for i in range(0, steps, WINDOW)]
        out[kind] = [sum(window) / len(window) for window in windows]
        out |= {f"final_{kind}": out[kind][-1], f"loss_{kind}": loss_on(model, held_out)}
    return out


def judge(measurements: Sequence[Measurement]) -> Verdict:
    ratios = [m["final_with"] / m["final_without"] for m in measurements]
    return Verdict(
        max(ratios) <= 0.5,
        f"max violation at the end {span(column(measurements, 'final_with'))} with the bias, "
        f"{span(column(measurements, 'final_without'))} without; held-out loss "
        f"{span(column(measurements, 'loss_with'), 3)} and {span(column(measurements, 'loss_without'), 3)}",
        {"ratio": sum(ratios) / len(ratios)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    for kind in RATES:
        lines(ax, measurements[0]["steps"], column(measurements, kind), f"{kind} bias", COLOURS[kind])
    ax.set_ylim(bottom=0)
    ax.set_xlabel("step", fontsize=9)
    ax.set_ylabel("max violation", fontsize=9)
