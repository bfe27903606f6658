"""Finding: weights trained with Muon use more directions: their singular values are more even (lesson 08).

Moonlight report (arXiv 2502.16982), section 3.4 and figure 4: SVD entropy H = -1/log n sum p_i log p_i with
p_i = s_i^2 / sum s^2; 1 means that all singular values are equal. Higher under Muon, most of all for the router.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from minikimi.findings.finding import Measurement, Prepared, Verdict, average, column, span
from minikimi.findings.plot import COLOURS
from minikimi.findings.texts import as_text, batches, world
from minikimi.findings.toy_training import Rule, matrices_of, text_model, train
from minikimi.optim.muon import as_matrices

LR = 6e-3
PARTS = ("attention", "dense", "experts", "router")
RULES: tuple[Rule, ...] = ("muon", "adamw")


TITLE = "Spectra under Muon and AdamW"
CLAIM = "SVD entropy of the weights is higher under Muon than under AdamW, most of all for the router"
SOURCE = "Moonlight, arXiv 2502.16982, section 3.4, figure 4"
RULE = "higher in every seed, and the mean difference largest for the router"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    data = batches(world(seed), as_text, 8 if quick else 400)
    out: Measurement = {}
    for rule in RULES:
        model = text_model(seed)
        train(model, data, LR, rule)
        entropies = {
            name: svd_entropy(as_matrices(p.detach(), blocks)) for name, (p, blocks) in matrices_of(model).items()
        }
        for part in PARTS:
            out[f"{part}_{rule}"] = mean(value for name, value in entropies.items() if part_of(name) == part)
        out[rule] = mean(entropies.values())
    return out


def part_of(name: str) -> str:
    """Which part of the model a matrix belongs to."""
    if name.endswith("mlp.gate.weight"):
        return "router"
    if "self_attn" in name:
        return "attention"
    return "experts" if ".experts." in name else "dense"


def svd_entropy(matrices: Tensor) -> float:
    """Mean over a batch (N, A, B) of the entropy of squared singular values, divided by log min(A, B): 0 to 1."""
    power = torch.linalg.svdvals(matrices.double()).square()
    p = power / power.sum(dim=-1, keepdim=True)
    return float((-torch.xlogy(p, p).sum(dim=-1) / math.log(p.shape[-1])).mean())


def judge(measurements: Sequence[Measurement]) -> Verdict:
    gaps = [m["muon"] - m["adamw"] for m in measurements]
    by_part = {part: average(measurements, f"{part}_muon") - average(measurements, f"{part}_adamw") for part in PARTS}
    widest = max(by_part, key=by_part.__getitem__)
    return Verdict(
        min(gaps) > 0 and widest == "router",
        f"Muon {span(column(measurements, 'muon'), 3)}, AdamW {span(column(measurements, 'adamw'), 3)}; the difference "
        f"is largest for: {widest} ({', '.join(f'{part} {gap:+.3f}' for part, gap in by_part.items())})",
        {"gap": mean(gaps), **{f"gap_{part}": gap for part, gap in by_part.items()}},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    for offset, rule in ((-0.18, "muon"), (0.18, "adamw")):
        places = [i + offset for i in range(len(PARTS))]
        ax.bar(places, [average(measurements, f"{part}_{rule}") for part in PARTS], 0.34, color=COLOURS[rule],
               label={"muon": "Muon", "adamw": "AdamW"}[rule])  # fmt: skip
        for m in measurements:
            ax.plot(places, [m[f"{part}_{rule}"] for part in PARTS], "o", color="#1d2733", ms=3)
    ax.set_xticks(range(len(PARTS)), list(PARTS), fontsize=8)
    low = min(m[f"{part}_{rule}"] for m in measurements for part in PARTS for rule in RULES)
    ax.set_ylim(max(0.0, low - 0.1), 1.0)
    ax.set_ylabel("SVD entropy of the weights", fontsize=9)
