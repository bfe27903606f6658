"""Stochastic rounding: right on average, deterministic from a seed, exact where bf16 is exact."""

import pytest
import torch
from minikimi_kernels.muon.stochastic_rounding import stochastic_add_, stochastic_round, stochastic_round_reference


def test_mean_of_many_roundings_is_the_value(device):
    """1 + 2^-10 lies an eighth of the way from 1 to 1 + 2^-7. To nearest it would always be 1: error 9.8e-4.

    One rounding has a standard deviation of 2^-7 sqrt(1/8 7/8) = 2.6e-3, the mean of 65,536 one of 1.0e-5.
    """
    value = 1 + 2**-10
    rounded = stochastic_round(torch.full((65536,), value, device=device), seed=3).double()
    assert set(rounded.tolist()) == {1.0, 1 + 2**-7}
    assert abs(rounded.mean().item() - value) < 5e-5


def test_result_is_one_of_the_two_neighbours(device):
    torch.manual_seed(0)
    x = torch.randn(3001, device=device) * 10.0 ** torch.randint(-20, 20, (3001,), device=device)
    down = stochastic_round_reference(x, torch.zeros_like(x, dtype=torch.int32))
    up = stochastic_round_reference(x, torch.full_like(x, 65535, dtype=torch.int32))
    out = stochastic_round(x, seed=1)
    assert ((out == down) | (out == up)).all()
    assert (out == down).any() and (out == up).any()


def test_exact_values_and_non_finite_ones_are_kept(device):
    x = torch.tensor([0.0, 1.0, -1.5, 2.0**100, float("inf"), float("-inf"), float("nan")], device=device)
    torch.testing.assert_close(stochastic_round(x, seed=7).float(), x, rtol=0, atol=0, equal_nan=True)


def test_seed_decides(device):
    x = torch.rand(1000, device=device)
    assert torch.equal(stochastic_round(x, seed=11), stochastic_round(x, seed=11))
    assert not torch.equal(stochastic_round(x, seed=11), stochastic_round(x, seed=12))


def test_bits_of_different_positions_are_independent(device):
    """A value halfway between neighbours goes up half of the time, whatever its neighbour in memory did."""
    x = torch.full((40_000,), 1 + 2**-8, device=device)
    up = (stochastic_round(x, seed=5) > 1).double()
    for distance in (1, 4, 1024, 2048):
        both = (up[distance:] * up[:-distance]).mean().item()
        assert abs(both - 0.25) < 0.015


def test_update_rule_with_decay_by_the_unscaled_rate(device):
    """p (1 - lr wd) - lr scale u; every wrong place for lr, wd or scale moves the mean by far more than the bound."""
    lr, decay, scale = 0.5, 0.25, 3.0
    param = torch.full((60_000,), 2.0, dtype=torch.bfloat16, device=device)
    update = torch.full((60_000,), 0.101, device=device)
    stochastic_add_(param, update, seed=2, lr=lr, weight_decay=decay, scale=scale)
    expected = 2.0 * (1 - lr * decay) - lr * scale * 0.101
    assert abs(param.double().mean().item() - expected) < 2e-4


def test_small_updates_add_up(device):
    """64 updates of 2^-12 to a weight of 1: to nearest nothing would happen, here it moves by 2^-6 on average."""
    param = torch.ones(4096, dtype=torch.bfloat16, device=device)
    update = torch.full((4096,), 2.0**-12, device=device)
    for seed in range(64):
        stochastic_add_(param, update, seed)
    assert abs(param.double().mean().item() - (1 + 2**-6)) < 2e-3


def test_sizes_strides_and_errors(device):
    """A rest that fills no block, an empty tensor, a transposed update (Newton-Schulz of a tall matrix)."""
    update = torch.randn(5, 7, device=device)
    param = torch.zeros(7, 5, dtype=torch.bfloat16, device=device)
    stochastic_add_(param, update.bfloat16().T, seed=0)
    assert torch.equal(param, update.bfloat16().T)
    empty = torch.empty(0, dtype=torch.bfloat16, device=device)
    assert stochastic_add_(empty, empty, seed=0).numel() == 0
    with pytest.raises(ValueError, match="contiguous bfloat16"):
        stochastic_add_(update, update, seed=0)
    with pytest.raises(ValueError, match="differ"):
        stochastic_add_(param, update, seed=0)
