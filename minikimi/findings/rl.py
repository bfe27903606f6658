"""Finding: policy mirror descent on verifiable rewards raises accuracy over the model it starts from (lesson 14).

Kimi k1.5 report (arXiv 2501.12599), section 2.3.2; Kimi-VL report (arXiv 2504.07491), section 2.4. pass@1 is measured
by sampling, before and after, on the same held-out sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from minikimi.findings.finding import Measurement, Prepared, Verdict, column, span
from minikimi.findings.plot import COLOURS, lines
from minikimi.findings.texts import processor
from minikimi.findings.thinking import LONGEST, START_STEPS, answering_model, problems, reinforce
from minikimi.rl.passk import gain, pass_rates
from minikimi.rl.rollout_settings import RolloutSettings

ROLLOUTS = RolloutSettings(problems=16, samples=8, inner_steps=2, max_new_tokens=LONGEST)


TITLE = "Gain of reinforcement learning"
CLAIM = "online policy mirror descent on verifiable rewards raises accuracy over the fine-tuned model"
SOURCE = "Kimi k1.5, arXiv 2501.12599, section 2.3.2; Kimi-VL, arXiv 2504.07491, section 2.4"
RULE = "in every seed the 95 % interval of the gain in held-out pass@1 excludes 0"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    steps, iterations, count = (6, 2, 2) if quick else (START_STEPS, 80, 200)
    rollouts = replace(ROLLOUTS, problems=2, samples=2) if quick else ROLLOUTS
    model = answering_model(seed, "think", steps)
    before = pass_rates(model, processor(), problems(seed, count), rollouts, (seed, 0))
    reports = reinforce(model, seed, rollouts, iterations)
    after = pass_rates(model, processor(), problems(seed, count), rollouts, (seed, 0))
    mean, low, high = gain(before, after)
    return {
        "before": 100 * before.pass_at(1), "after": 100 * after.pass_at(1), "gain": 100 * mean, "low": 100 * low,
        "high": 100 * high, "success": [100 * report.get("success", 0.0) for report in reports],
    }  # fmt: skip


def judge(measurements: Sequence[Measurement]) -> Verdict:
    gains = column(measurements, "gain")
    return Verdict(
        min(column(measurements, "low")) > 0,
        f"pass@1 from {span(column(measurements, 'before'), 0)} % to {span(column(measurements, 'after'), 0)} %; gain "
        f"{span(gains, 1)} points, lowest end of a 95 % interval {min(column(measurements, 'low')):+.1f}",
        {"gain": sum(gains) / len(gains)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    rows = column(measurements, "success")
    lines(ax, range(1, len(rows[0]) + 1), rows, "correct rollouts (training problems)", COLOURS["with"])
    for i, m in enumerate(measurements):
        ends = (1, len(rows[0]))
        ax.plot(
            ends, (m["before"], m["after"]), "o", color=COLOURS["without"], ms=5, label=None if i else "held-out pass@1"
        )
    ax.set_ylim(bottom=0)
    ax.set_xlabel("iteration", fontsize=9)
    ax.set_ylabel("percent", fontsize=9)
