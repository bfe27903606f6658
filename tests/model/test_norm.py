"""RMSNorm as a module; what it computes in bfloat16 is held in test_ops."""

import torch

from minikimi.model.norm import RMSNorm


def test_rows_get_root_mean_square_one_times_the_weight() -> None:
    """The mean is left alone: only the size is divided out."""
    norm = RMSNorm(6, eps=0.0)
    assert torch.equal(norm.weight, torch.ones(6))
    torch.nn.init.uniform_(norm.weight, 1, 2)
    x = 7 * torch.randn(5, 6, generator=torch.Generator().manual_seed(0)) + 3
    out = norm(x)
    torch.testing.assert_close((out / norm.weight).square().mean(-1), torch.ones(5))
    torch.testing.assert_close(norm(10 * x), out)  # the size of a row does not matter


def test_eps_keeps_an_empty_row_at_zero() -> None:
    assert torch.equal(RMSNorm(4, eps=1e-6)(torch.zeros(2, 4)), torch.zeros(2, 4))


def test_reset_makes_the_weight_one() -> None:
    norm = RMSNorm(3, eps=1e-5)
    torch.nn.init.zeros_(norm.weight)
    norm.reset_parameters()
    assert torch.equal(norm.weight, torch.ones(3))
