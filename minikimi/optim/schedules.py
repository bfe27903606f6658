"""Learning-rate schedules: pure functions from a step to a factor of the peak learning rate.

Lesson 08 plots them; lesson 11 chains them. Source: Moonlight report (arXiv 2502.16982), section 3.3: linear warm-up, a
cosine down to a tenth, and a cooldown that warms up to a smaller peak and falls linearly to zero. With torch:

    LambdaLR(optimizer, partial(warmup_cosine, total=1000, warmup=50))
"""

import math


def constant(step: int) -> float:
    """Factor 1 at every step."""
    return 1.0


def warmup_cosine(step: int, total: int, warmup: int = 0, final_ratio: float = 0.1) -> float:
    """Linear warm-up, then half a cosine from 1 to `final_ratio`, which holds from step `total` on.

    Args:
        step: optimizer step, counted from 0.
        total: steps of the whole run, warm-up included.
        warmup: steps until the factor is 1; the first step already moves (1 / warmup).
        final_ratio: factor at step `total`, in [0, 1].

    Raises:
        ValueError: impossible numbers.
    """
    _check(step, total, warmup, final_ratio)
    if step < warmup:
        return (step + 1) / warmup
    return final_ratio + (1 - final_ratio) * 0.5 * (1 + math.cos(math.pi * _progress(step, total, warmup)))


def warmup_linear(step: int, total: int, warmup: int = 0, final_ratio: float = 0.0) -> float:
    """Linear warm-up, then a straight line from 1 to `final_ratio`; arguments as in `warmup_cosine`."""
    _check(step, total, warmup, final_ratio)
    if step < warmup:
        return (step + 1) / warmup
    return 1 - (1 - final_ratio) * _progress(step, total, warmup)


def _progress(step: int, total: int, warmup: int) -> float:
    """Share of the decay that is over, in [0, 1]."""
    return min(1.0, (step - warmup) / max(1, total - warmup))


def _check(step: int, total: int, warmup: int, final_ratio: float) -> None:
    if total < 1:
        raise ValueError(f"schedule: total must be at least 1 step, got {total}")
    if not 0 <= warmup <= total:
        raise ValueError(f"schedule: warmup must lie in 0..total, got warmup {warmup} of total {total}")
    if not 0.0 <= final_ratio <= 1.0:
        raise ValueError(f"schedule: final_ratio must lie in [0, 1], got {final_ratio}")
    if step < 0:
        raise ValueError(f"schedule: step must not be negative, got {step}")
