"""Finding: Muon reaches AdamW's loss with about half of the training (lesson 08).

Moonlight report (arXiv 2502.16982), section 3.2 and figure 3. Both optimizers get the learning rate that is best for
them on seed 0. A run in the middle of its schedule is no fair comparison, because the rate has not come down yet; so
Muon is trained on several shorter budgets, each with a whole schedule, and the budget at which its held-out loss equals
AdamW's is read off between them. A step of either costs the same tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minikimi.findings.finding import Measurement, Prepared, Verdict, average, column, span
from minikimi.findings.plot import COLOURS, lines
from minikimi.findings.texts import as_text, batches, held_out_batches, world
from minikimi.findings.toy_training import Rule, loss_on, text_model, train

RATES = (1e-3, 2.5e-3, 6e-3, 1.5e-2, 4e-2)
BUDGETS = (0.2, 0.35, 0.5, 0.7, 1.0)  # of AdamW's steps
RULES: tuple[Rule, ...] = ("muon", "adamw")


TITLE = "Muon against AdamW"
CLAIM = "Muon needs about 52 % of AdamW's training FLOPs for the same loss"
SOURCE = "Moonlight, arXiv 2502.16982, section 3.2"
RULE = "in every seed at most 75 % of AdamW's steps"


def run(seed: int, rule: Rule, lr: float, share: float, quick: bool) -> float:
    """Held-out loss after a share of the steps."""
    model = text_model(seed)
    train(model, batches(world(seed), as_text, round(share * (6 if quick else 300))), lr, rule)
    return loss_on(model, held_out_batches(seed, as_text, quick))


def prepare(quick: bool) -> Prepared:
    """The best learning rate of each optimizer over one grid, on seed 0."""
    rates = RATES[:2] if quick else RATES
    table = {rule: [run(0, rule, lr, 1.0, quick) for lr in rates] for rule in RULES}
    best = {f"lr_{rule}": rates[losses.index(min(losses))] for rule, losses in table.items()}
    return {**best, "rates": list(rates), **{f"search_{rule}": losses for rule, losses in table.items()}}


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    adamw = run(seed, "adamw", prepared["lr_adamw"], 1.0, quick)
    muon = [run(seed, "muon", prepared["lr_muon"], share, quick) for share in BUDGETS]
    return {**prepared, "adamw": adamw, "muon": muon, "share": equal_share(BUDGETS, muon, adamw)}


def equal_share(shares: Sequence[float], losses: Sequence[float], target: float) -> float | None:
    """The budget at which the loss first comes down to `target`, by straight lines between the measured budgets; the
    smallest budget if it suffices, None if the largest does not.
    """
    if losses[0] <= target:
        return shares[0]
    for i in range(1, len(shares)):
        if losses[i] <= target:
            part = (losses[i - 1] - target) / (losses[i - 1] - losses[i])
            return shares[i - 1] + part * (shares[i] - shares[i - 1])
    return None


def judge(measurements: Sequence[Measurement]) -> Verdict:
    shares = [share for share in column(measurements, "share") if share is not None]
    if len(shares) < len(measurements):
        late = len(measurements) - len(shares)
        return Verdict(False, f"in {late} of {len(measurements)} seeds Muon needs more steps than AdamW")
    rates = f"rates {measurements[0]['lr_muon']:g} and {measurements[0]['lr_adamw']:g}"
    return Verdict(
        max(shares) <= 0.75,
        f"Muon needs {span(shares)} of AdamW's steps for the same held-out loss ({rates})",
        {"share": sum(shares) / len(shares)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    lines(ax, BUDGETS, column(measurements, "muon"), "Muon", COLOURS["muon"], marker="o", ms=3)
    ax.axhline(average(measurements, "adamw"), color=COLOURS["adamw"], label="AdamW, all steps")
    ax.axvline(0.52, color=COLOURS["paper"], lw=1, ls=":", label="report: 0.52")
    ax.set_xlabel("steps, as a share of AdamW's", fontsize=9)
    ax.set_ylabel("held-out loss", fontsize=9)
