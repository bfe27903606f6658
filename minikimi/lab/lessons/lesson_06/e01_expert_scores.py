"""Exercise 6.1: Score every expert (difficulty 1, 2 minutes)

Hint 1: One dot product for each token and expert, then the logistic function, each expert for itself.

Hint 2: F.linear(x.float(), weight.float()).sigmoid(): cast both before the product, not after it.

Why: A sigmoid lets an expert's score rise without pushing the others down. float32, because choices turn on small
differences between scores.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from minikimi.lab.cases import BOTH, numbers
from minikimi.lab.exercise import Case, Exercise, Misfit, Wrongs, words

wrong = Wrongs()


def expert_scores(x: Tensor, weight: Tensor) -> Tensor:
    """Tokens (T, D) and router weight (E, D) to scores (T, E), float32."""
    return F.linear(x.float(), weight.float()).sigmoid()


def score_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # The second case has D == E: a weight used the wrong way round goes through without an error.
    return [
        (numbers(seed, 3, 4, dtype=dtype), numbers(seed + 9, 5, 4, dtype=dtype)),
        (numbers(seed + 1, 2, 6, dtype=dtype), numbers(seed + 8, 6, 6, dtype=dtype)),
    ]


@wrong(
    "softmax over the experts",
    "Older routers do this. Here each expert is scored on its own: .sigmoid(), no sum over experts.",
)
def softmax_scores(x: Tensor, weight: Tensor) -> Tensor:
    return F.linear(x.float(), weight.float()).softmax(dim=-1)


@wrong("the logits themselves", "Missing: .sigmoid(), which brings a score into (0, 1).")
def raw_logits(x: Tensor, weight: Tensor) -> Tensor:
    return F.linear(x.float(), weight.float())


@wrong(
    "computed in the input's dtype",
    "In bfloat16, scores near 0.5 come in steps of 0.002 to 0.004, so "
    "ties are decided by chance. Cast x and weight to float32 first.",
)
def low_precision_scores(x: Tensor, weight: Tensor) -> Tensor:
    return F.linear(x, weight).sigmoid()


def in_zero_one(run, x: Tensor, weight: Tensor) -> None:
    scores = run(x, weight)
    if scores.shape == (len(x), len(weight)) and not 0 <= float(scores.min()) <= float(scores.max()) <= 1:
        raise Misfit(f"a score lies between 0 and 1; yours run from {float(scores.min()):.2f} to {scores.max():.2f}")


EXERCISE = Exercise(
    **words(__doc__), solution=expert_scores, cases=score_cases, properties=(in_zero_one,), dtypes=BOTH, wrong=wrong
)
