"""Finding: accuracy rises with the room for thinking (lesson 15).

Kimi-VL report (arXiv 2504.07491), figure 13: MathVision 18.7 to 36.8 from 1K to 16K thinking tokens. Here one model is
stopped after a number of tokens and has to answer from what it has; see `minikimi.evaluation.scaling`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from minikimi.evaluation.scaling import answer_after, think
from minikimi.findings.finding import Measurement, Prepared, Verdict, average, column
from minikimi.findings.plot import COLOURS, lines
from minikimi.findings.texts import processor
from minikimi.findings.thinking import LONGEST, START_STEPS, answering_model, problems
from minikimi.rl.rewards import exact_answer

LIMITS = (0, 8, 16, 24, 32, 48, 64)
ANSWER_TOKENS = 8


TITLE = "Room for thinking"
CLAIM = "accuracy rises with the limit of thinking tokens (MathVision 18.7 at 1K to 36.8 at 16K)"
SOURCE = "Kimi-VL, arXiv 2504.07491, figure 13"
RULE = "in every seed at least 5 points from no thinking to the largest limit, and on average no fall over 2 points"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    steps, count = (6, 8) if quick else (START_STEPS, 200)
    samples = problems(seed, count)
    model = answering_model(seed, "think", steps)
    thoughts, _ = think(model, processor(), samples, LONGEST)
    rights = []
    for limit in LIMITS:
        answers = answer_after(model, processor(), samples, [t[:limit] for t in thoughts], ANSWER_TOKENS)
        rights.append(100 * sum(exact_answer(answers, [s.answer for s in samples])) / count)
    return {"right": rights, "thinking": sum(map(len, thoughts)) / count}


def judge(measurements: Sequence[Measurement]) -> Verdict:
    rights = average(measurements, "right")
    gains = [m["right"][-1] - m["right"][0] for m in measurements]
    falls = [max(a - b for a, b in pairwise(rights)), 0.0]
    table = ", ".join(f"{limit}: {right:.0f}" for limit, right in zip(LIMITS, rights, strict=True))
    return Verdict(
        min(gains) >= 5 and max(falls) <= 2,
        f"percent right by limit of thinking tokens: {table}",
        {"gain": sum(gains) / len(gains)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    lines(ax, LIMITS, column(measurements, "right"), "held-out sums", COLOURS["with"], marker="o", ms=3)
    ax.set_ylim(0, 100)
    ax.set_xlabel("limit of thinking tokens", fontsize=9)
    ax.set_ylabel("percent right", fontsize=9)
