"""Finding: the update of a Muon matrix has a root mean square of 0.2, and 0.2 to 0.4 is the best factor (lesson 08).

Moonlight report (arXiv 2502.16982), section 2.2 and table 8. An orthogonal A x B matrix has entries of root mean square
sqrt(1 / max(A, B)), which the factor 0.2 sqrt(max(A, B)) turns into 0.2. That holds for full rank only, and the five
iterations leave singular values in about [0.7, 1.2]; the measurement says what is left of it. Learning rate and decay
are the same in all runs; the factor scales the matrices' updates alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from minikimi.findings.finding import Measurement, Prepared, Verdict, average, column, span
from minikimi.findings.plot import COLOURS, lines
from minikimi.findings.texts import as_text, batches, held_out_batches, world
from minikimi.findings.toy_training import Rule, loss_on, matrices_of, text_model, train

LR = 6e-3
FACTORS = (0.05, 0.1, 0.2, 0.4, 0.8)
PAPER = (3.503, 3.374, 3.325, 3.314, 3.543)  # table 8, validation loss


TITLE = "Size of Muon's update"
CLAIM = "update RMS 0.2 by construction, as AdamW's 0.2 to 0.4; of 0.05 to 0.8 the factors 0.2 and 0.4 are best"
SOURCE = "Moonlight, arXiv 2502.16982, section 2.2, table 8"
RULE = "mean RMS of every seed within 0.05 of 0.2, and the mean loss lowest at 0.2 or 0.4"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    steps = 8 if quick else 300
    data = batches(world(seed), as_text, steps)
    held_out = held_out_batches(seed, as_text, quick)
    losses = []
    for factor in FACTORS:
        model = text_model(seed)
        train(model, data, LR, update_rms=factor)
        losses.append(loss_on(model, held_out))
    short = data[: steps // 2]
    rms: dict[Rule, list[float]] = {"muon": update_rms(seed, short, "muon"), "adamw": update_rms(seed, short, "adamw")}
    return {"losses": losses, **{f"rms_{rule}": sum(r) / len(r) for rule, r in rms.items()}, "by_matrix": rms["muon"]}


def update_rms(seed: int, data: Sequence[Any], rule: Rule) -> list[float]:
    """Root mean square of the last update over the rate, for every matrix, decay left out."""
    model = text_model(seed)
    before: dict[str, torch.Tensor] = {}

    def keep(step: int) -> None:
        if step == len(data) - 2:
            before.update({name: p.detach().clone() for name, (p, _) in matrices_of(model).items()})

    # A peak rate whose last factor is a tenth: the size of the last step is divided by that rate.
    train(model, data, LR, rule, weight_decay=0.0, each_step=keep)
    last_rate = LR * last_factor(len(data))
    return [
        float((p.detach() - before[n]).square().mean().sqrt()) / last_rate for n, (p, _) in matrices_of(model).items()
    ]


def last_factor(steps: int) -> float:
    """The schedule's factor of the last step."""
    from minikimi.optim import warmup_cosine

    return warmup_cosine(steps - 1, steps, steps // 20)


def judge(measurements: Sequence[Measurement]) -> Verdict:
    rms = column(measurements, "rms_muon")
    losses = average(measurements, "losses")
    best = FACTORS[losses.index(min(losses))]
    table = ", ".join(f"{factor:g}: {loss:.3f}" for factor, loss in zip(FACTORS, losses, strict=True))
    return Verdict(
        max(abs(r - 0.2) for r in rms) <= 0.05 and best in (0.2, 0.4),
        f"mean update RMS {span(rms, 3)}, AdamW's {span(column(measurements, 'rms_adamw'), 3)}; best factor {best:g} "
        f"({table})",
        {"rms": sum(rms) / len(rms), "best_factor": best},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    lines(ax, FACTORS, column(measurements, "losses"), "here", COLOURS["muon"], marker="o", ms=3)
    ax.set_xscale("log")
    ax.set_xticks(FACTORS, [f"{factor:g}" for factor in FACTORS])
    ax.minorticks_off()
    ax.set_xlabel("update RMS that the factor asks for", fontsize=9)
    ax.set_ylabel("held-out loss", fontsize=9)
    paper = ax.twinx()
    paper.plot(FACTORS, PAPER, color=COLOURS["paper"], ls=":", marker="s", ms=3)
    paper.set_ylabel("report, table 8 (dotted)", fontsize=9)
    paper.tick_params(labelsize=8)
