"""Exercise 8.7: AdamW for the rest (difficulty 3, 4 minutes)

Hint 1: Both averages start at zero, so early ones are too small by 1 - beta**step. eps joins the corrected root.

Hint 2: denominator = (exp_avg_sq.sqrt() / math.sqrt(1 - beta2**step)).add_(eps); p.addcdiv_(exp_avg, denominator,
value=-lr / (1 - beta1**step)).

Why: Added before the correction, eps would be up to 1 / sqrt(1 - beta2) times larger in the first steps.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from minikimi.lab.cases import numbers
from minikimi.lab.exercise import Case, Exercise, Wrongs, words
from minikimi.optim.muon import adamw_update

wrong = Wrongs()


def adamw_result(answer, p: Tensor, grad: Tensor, state: dict, *how) -> tuple[Tensor, ...]:
    answer(p, grad, state, *how)
    return p, state["step"], state["exp_avg"], state["exp_avg_sq"]


def adamw_cases(seed: int, dtype: torch.dtype) -> list[Case]:
    # Early steps, different betas and a large eps: every misplaced term shows.
    cases = []
    for step, eps in ((0.0, 0.1), (2.0, 0.5)):
        state = {"step": torch.tensor(step), "exp_avg": step * numbers(seed + 1, 4) / 4}
        state["exp_avg_sq"] = step * numbers(seed + 2, 4).square() / 4
        cases.append((numbers(seed, 4), numbers(seed + 3, 4), state, 0.3, (0.7, 0.95), eps))
    return cases


def _adamw(square_root, corrected=True, swapped=False):
    def answer(p: Tensor, grad: Tensor, state: dict, lr: float, betas: tuple[float, float], eps: float) -> None:
        beta1, beta2 = betas[::-1] if swapped else betas
        state["step"] += 1
        state["exp_avg"].lerp_(grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        step = state["step"].item() if corrected else math.inf
        one, two = 1 - beta1**step, 1 - beta2**step
        p.addcdiv_(state["exp_avg"] / one, square_root(state["exp_avg_sq"], two, eps), value=-lr)

    return answer


@wrong("decay as well", "The decay is done by the caller, once for both rules.")
def decays_too(p: Tensor, grad: Tensor, state: dict, lr: float, betas: tuple[float, float], eps: float) -> None:
    p.mul_(1 - lr * 0.1)
    adamw_update(p, grad, state, lr, betas, eps)


wrong.add(
    "eps before the correction",
    "Correct the root first, then add eps. (Moonlight's example code has the other order.)",
    _adamw(lambda v, two, eps: (v.sqrt() + eps) / math.sqrt(two)),
)
wrong.add(
    "eps inside the root", "eps is added to the root, not under it.", _adamw(lambda v, two, eps: (v / two + eps).sqrt())
)
wrong.add(
    "no bias correction",
    "After one step the averages are (1 - beta) times the gradient: divide by 1 - beta**step.",
    _adamw(lambda v, two, eps: v.sqrt() + eps, corrected=False),
)
wrong.add(
    "betas swapped",
    "beta1 is for the mean, beta2 for the mean square.",
    _adamw(lambda v, two, eps: (v / two).sqrt() + eps, swapped=True),
)

EXERCISE = Exercise(**words(__doc__), solution=adamw_update, cases=adamw_cases, run=adamw_result, wrong=wrong)
