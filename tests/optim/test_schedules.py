"""Schedules against hand-made numbers."""

from functools import partial

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from minikimi.optim import constant, warmup_cosine, warmup_linear


def test_cosine_by_hand() -> None:
    factor = partial(warmup_cosine, total=12, warmup=4, final_ratio=0.1)
    assert [factor(s) for s in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factor(8) == pytest.approx(0.55)  # half way down: the mean of 1 and 0.1
    assert factor(6) == pytest.approx(0.1 + 0.9 * (1 + 0.5**0.5) / 2)  # a quarter: cos 45 degrees, not a straight line
    assert factor(12) == factor(50) == pytest.approx(0.1)


def test_linear_by_hand() -> None:
    # The report's cooldown: up in 100 steps, then straight to zero; the last step that runs (total - 1) still moves.
    factor = partial(warmup_linear, total=500, warmup=100)
    assert (factor(0), factor(99), factor(100), factor(300)) == pytest.approx((0.01, 1.0, 1.0, 0.5))
    assert factor(499) > 0 and factor(500) == 0.0
    assert warmup_linear(10, total=10, final_ratio=0.2) == pytest.approx(0.2)


def test_drives_torch_scheduler() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
    scheduler = LambdaLR(optimizer, partial(warmup_linear, total=4, warmup=2))
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == pytest.approx([0.2, 0.4, 0.4, 0.2])
    assert constant(0) == constant(10**9) == 1.0


@pytest.mark.parametrize("schedule", [warmup_cosine, warmup_linear])
@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"total": 0}, "total must be at least 1"),
        ({"total": 5, "warmup": 6}, "warmup 6 of total 5"),
        ({"total": 5, "warmup": -1}, "warmup -1"),
        ({"total": 5, "final_ratio": 1.5}, r"\[0, 1\], got 1.5"),
        ({"total": 5, "step": -1}, "not be negative"),
    ],
)
def test_impossible_numbers_say_which(schedule, numbers: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule(**({"step": 0} | numbers))
