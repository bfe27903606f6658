"""Finding: Muon without weight decay leads early and loses late, and its weights grow (lesson 08).

Moonlight report (arXiv 2502.16982), section 2.2 and figure 2: an 800M model, 100B tokens, decay 0.1. What matters is
the decay of the whole run, the sum of rate times decay: about 76,000 steps of a mean rate near 5e-4 make 3 to 4 there.
A toy of a few hundred steps reaches that sum only with a larger coefficient, so DECAY is chosen for a sum of 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from minikimi.findings.finding import Measurement, Prepared, Verdict, average, column, span
from minikimi.findings.plot import COLOURS, lines
from minikimi.findings.texts import as_text, batches, held_out_batches, world
from minikimi.findings.toy_training import loss_on, matrices_of, text_model, train

LR = 1e-2
WHOLE_RUN = 3.0  # sum over the steps of rate * decay
MEAN_FACTOR = 0.55  # mean of the schedule
KINDS = ("with", "without")


TITLE = "Weight decay under Muon"
CLAIM = "without decay Muon leads early and loses late; weights and outputs keep growing"
SOURCE = "Moonlight, arXiv 2502.16982, section 2.2, figure 2"
RULE = "in every seed no decay leads after a quarter and loses at the end, and its weights are larger"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    steps, every = (12, 4) if quick else (600, 50)
    data = batches(world(seed), as_text, steps)
    held_out = held_out_batches(seed, as_text, quick)
    out: Measurement = {"steps": list(range(every, steps + 1, every))}
    for kind in KINDS:
        model = text_model(seed)
        losses: list[float] = []
        sizes = [weight_rms(model)]

        def record(step: int, model: Any = model, losses: list[float] = losses, sizes: list[float] = sizes) -> None:
            if (step + 1) % every == 0:
                losses.append(loss_on(model, held_out))
                sizes.append(weight_rms(model))
                model.train()

        decay = WHOLE_RUN / (LR * MEAN_FACTOR * steps) if kind == "with" else 0.0
        train(model, data, LR, weight_decay=decay, each_step=record)
        out |= {kind: losses, f"rms_{kind}": sizes, f"final_{kind}": losses[-1], f"growth_{kind}": sizes[-1] / sizes[0]}
    return out


@torch.no_grad()
def weight_rms(model: torch.nn.Module) -> float:
    """Root mean square over all entries of the matrices that Muon moves."""
    weights = [p.detach().flatten() for p, _ in matrices_of(model).values()]
    return float(torch.cat(weights).square().mean().sqrt())


def judge(measurements: Sequence[Measurement]) -> Verdict:
    gaps = [m["final_without"] - m["final_with"] for m in measurements]
    growth = [m["growth_without"] / m["growth_with"] for m in measurements]
    early = [m["with"][len(m["with"]) // 4] - m["without"][len(m["with"]) // 4] for m in measurements]
    return Verdict(
        min(gaps) > 0 and min(early) > 0 and min(growth) > 1,
        f"late, no decay costs {span(gaps, 3)} of loss, and leads by {span(early, 3)} after a quarter of the steps; "
        f"its weights end {span(growth, 1)} times larger",
        {"late_gap": sum(gaps) / len(gaps), "weight_ratio": sum(growth) / len(growth)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    for kind in KINDS:
        lines(ax, measurements[0]["steps"], column(measurements, kind), f"{kind} decay", COLOURS[kind])
        size = average(measurements, f"growth_{kind}")
        ax.plot([], [], " ", label=f"weights grew {size:.1f} times {kind}")
    ax.set_yscale("log")
    ax.set_xlabel("step", fontsize=9)
    ax.set_ylabel("held-out loss", fontsize=9)
