"""Finding: worked steps before the answer make sums right that a direct answer gets wrong (lesson 13).

Kimi-VL report (arXiv 2504.07491), section 2.4: long chains of thought, after Kimi k1.5 (arXiv 2501.12599). Both models
train on the same number of tokens; since worked steps are longer, the direct one sees about three times as many
problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minikimi.findings.finding import Measurement, Prepared, Verdict, column, span
from minikimi.findings.plot import COLOURS, bars
from minikimi.findings.thinking import START_STEPS, accuracy, answering_model, problems

FORMS = ("think", "chat")


TITLE = "Worked steps against direct answers"
CLAIM = "a chain of thought before the answer raises accuracy on problems of several steps"
SOURCE = "Kimi-VL, arXiv 2504.07491, section 2.4; Kimi k1.5, arXiv 2501.12599"
RULE = "in every seed at least 5 points more right than without steps"


def measure(seed: int, quick: bool, prepared: Prepared) -> Measurement:
    steps, count = (6, 8) if quick else (START_STEPS, 200)
    return {form: accuracy(answering_model(seed, form, steps), problems(seed, count)) for form in FORMS}


def judge(measurements: Sequence[Measurement]) -> Verdict:
    gaps = [m["think"] - m["chat"] for m in measurements]
    return Verdict(
        min(gaps) >= 5,
        f"held-out sums right: {span(column(measurements, 'think'), 0)} % with worked steps, "
        f"{span(column(measurements, 'chat'), 0)} % at once",
        {"gap": sum(gaps) / len(gaps)},
    )


def draw(ax: Any, measurements: Sequence[Measurement]) -> None:
    rows = [[m[form] for form in FORMS] for m in measurements]
    bars(ax, ["worked steps", "answer at once"], rows, [COLOURS["with"], COLOURS["without"]])
    ax.set_ylim(0, 100)
    ax.set_ylabel("percent of held-out sums right", fontsize=9)
