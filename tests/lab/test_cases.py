"""The makers of numbers and modules give the same everywhere and leave the lesson's random numbers alone."""

import torch
from torch import nn

from minikimi.lab.cases import filled, numbers


def test_numbers_follow_from_seed_and_shape_alone() -> None:
    first, state = numbers(3, 2, 5), torch.random.get_rng_state()
    torch.rand(7)
    assert torch.equal(numbers(3, 2, 5), first) and not torch.equal(numbers(4, 2, 5), first)
    torch.random.set_rng_state(state)
    numbers(3, 2, 5)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_every_dtype_sees_the_same_numbers() -> None:
    assert torch.equal(numbers(0, 4, dtype=torch.bfloat16), numbers(0, 4).bfloat16())
    assert torch.equal(numbers(0, 4, size=0.5), 0.5 * numbers(0, 4))


def test_filled_modules_are_equal_and_nothing_in_them_is_trivial() -> None:
    state = torch.random.get_rng_state()
    one, two = filled(nn.LayerNorm, 6), filled(nn.LayerNorm, 6)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(one.weight, two.weight) and not one.training
    assert bool((one.weight != 1).all()) and bool((one.bias != 0).all())
    assert filled(nn.Linear, 2, 3, dtype=torch.bfloat16).weight.dtype == torch.bfloat16
