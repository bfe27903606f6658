"""Finding: a length reward shortens the thinking and hardly costs accuracy (lesson 14).

Kimi k1.5 report (arXiv 2501.12599), sections 2.3.3 and 2.4. Three worked solutions in four of the training data end in
a check of the result that is not needed; without a length reward nothing speaks against it. As in the report there is
no length reward at first, then a constant weight; the run without it goes on just as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from statistics import mean
from typing import Any

from minikimi.findings.finding import Measurement, Prepared, Verdict, average, column, span
from minikimi.findings.plot import COLOURS, lines
from minikimi.findings.texts import processor
from minikimi.findings.thinking import LONGEST, START_STEPS, answering_model, problems, reinforce
from minikimi.rl.passk import pass_rates
from minikimi.rl.rollout_settings import RolloutSettings

ROLLOUTS = RolloutSettings(problems=16, samples=8, inner_steps=2, max_new_tokens=LONGEST)
WEIGHTS = {"with": 0.5, "without": 0.0}


TITLE = "Length reward"
CLAIM = "a length reward, after a warm-up without it, shortens responses at little or no loss of accuracy"
SOURCE = "Kimi k1.5, arXiv 2501.12599, sections 2.3.3 and 2.4"
RULE = "in every seed at least 10 % fewer tokens, and on average at most 2 points of pass@1 lost"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    steps, iterations, count = (6, 2, 2) if quick else (START_STEPS, 40, 100)
    rollouts = replace(ROLLOUTS, problems=2, samples=2) if quick else ROLLOUTS
    start = answering_model(seed, "think", steps)
    out: Measurement = {}
    for kind, weight in WEIGHTS.items():
        model = deepcopy(start)
        settings = replace(rollouts, length_weight=weight, length_from=iterations // 4)
        reports = reinforce(model, seed, settings, iterations)
        rates = pass_rates(model, processor(), problems(seed, count), rollouts, (seed, 0))
        out[kind] = [report.get("completions/mean_length", 0.0) for report in reports]
        out |= {f"tokens_{kind}": mean(rates.tokens), f"right_{kind}": 100 * rates.pass_at(1)}
    return out


def judge(measurements: Sequence[Measurement]) -> Verdict:
    saved = [100 * (1 - m["tokens_with"] / m["tokens_without"]) for m in measurements]
    lost = [m["right_without"] - m["right_with"] for m in measurements]
    return Verdict(
        min(saved) >= 10 and mean(lost) <= 2,
        f"{span(saved, 0)} % fewer tokens ({average(measurements, 'tokens_without'):.0f} to "
        f"{average(measurements, 'tokens_with'):.0f}); pass@1 {average(measurements, 'right_without'):.0f} % without "
        f"and {average(measurements, 'right_with'):.0f} % with the length reward",
        {"saved": mean(saved), "lost": mean(lost)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    for kind in WEIGHTS:
        rows = column(measurements, kind)
        lines(ax, range(1, len(rows[0]) + 1), rows, f"{kind} length reward", COLOURS[kind])
    ax.set_xlabel("iteration", fontsize=9)
    ax.set_ylabel("mean tokens of a response", fontsize=9)
