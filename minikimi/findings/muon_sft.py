"""Finding: Muon helps in fine-tuning only if pre-training used it too (lessons 08 and 13).

Moonlight report (arXiv 2502.16982), section 3.5, tables 6 and 7: the best scores come from Muon in both; after AdamW
pre-training, Muon in fine-tuning brings nothing reliable. Here pre-training reads worked sums as running text, and
fine-tuning answers them in the chat form. Each cell has the better of two fine-tuning rates, found on seed 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from statistics import mean
from typing import Any

from minikimi.findings.finding import Measurement, Prepared, Verdict, average
from minikimi.findings.plot import COLOURS, bars
from minikimi.findings.texts import as_chat, as_text, batches, held_out_batches, world
from minikimi.findings.toy_training import Rule, loss_on, text_model, train
from minikimi.model.kimi_vl import KimiVL

LR = 6e-3
SFT_RATES = (3e-3, 1e-2)
RULES: tuple[Rule, ...] = ("muon", "adamw")
CELLS = [f"{before}_{after}" for before in RULES for after in RULES]


TITLE = "Muon in fine-tuning"
CLAIM = "Muon in fine-tuning helps if pre-training used Muon, and not after AdamW pre-training (2 x 2)"
SOURCE = "Moonlight, arXiv 2502.16982, section 3.5, tables 6 and 7"
RULE = "after Muon a gain in every seed, after AdamW not"


def pretrained(seed: int, rule: Rule, quick: bool) -> KimiVL:
    model = text_model(seed)
    train(model, batches(world(seed), as_text, 8 if quick else 300), LR, rule)
    return model


def finetuned(start: KimiVL, seed: int, rule: Rule, lr: float, quick: bool) -> float:
    """Held-out loss on worked answers after fine-tuning a copy of `start`."""
    model = deepcopy(start)
    encode = as_chat("think")
    train(model, batches(world(seed + 1000), encode, 6 if quick else 100), lr, rule)
    return loss_on(model, held_out_batches(seed, encode, quick))


def prepare(quick: bool) -> Prepared:
    """The better fine-tuning rate of each of the four cells, on seed 0."""
    best = {}
    for before in RULES:
        start = pretrained(0, before, quick)
        for after in RULES:
            losses = [finetuned(start, 0, after, lr, quick) for lr in SFT_RATES]
            best[f"{before}_{after}"] = SFT_RATES[losses.index(min(losses))]
    return {"rates": best}


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    out: Measurement = {**prepared}
    for before in RULES:
        start = pretrained(seed, before, quick)
        for after in RULES:
            cell = f"{before}_{after}"
            out[cell] = finetuned(start, seed, after, prepared["rates"][cell], quick)
    return out


def judge(measurements: Sequence[Measurement]) -> Verdict:
    """Gain of Muon in fine-tuning: AdamW's loss less Muon's, after each kind of pre-training."""
    after_muon = [m["muon_adamw"] - m["muon_muon"] for m in measurements]
    after_adamw = [m["adamw_adamw"] - m["adamw_muon"] for m in measurements]
    table = ", ".join(f"{cell.replace('_', ' then ')} {average(measurements, cell):.3f}" for cell in CELLS)
    return Verdict(
        min(after_muon) > 0 and min(after_adamw) <= 0,
        f"Muon in fine-tuning gains {mean(after_muon):+.3f} after Muon, {mean(after_adamw):+.3f} after AdamW ({table})",
        {"gain_after_muon": mean(after_muon), "gain_after_adamw": mean(after_adamw)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    labels = [cell.replace("_", "\nthen ") for cell in CELLS]
    colours = [COLOURS["muon"] if cell.endswith("muon") else COLOURS["adamw"] for cell in CELLS]
    bars(ax, labels, [[m[cell] for cell in CELLS] for m in measurements], colours)
    ax.set_ylabel("held-out loss after fine-tuning", fontsize=9)
